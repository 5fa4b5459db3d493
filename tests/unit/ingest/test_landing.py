"""The lander: what is committed equals the stream, whatever came before (I1, I2, I3)."""

import dataclasses
import os
from copy import copy

import pytest

from koboshi.errors import BadInput, Conflict, Fenced, LeaseTaken, Unavailable
from koboshi.events import LandedLate
from koboshi.files import sha256_of
from koboshi.ingest import landing
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.landing import write_range
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange
from tests.support.memory_stream import MemoryBroker


def ranges(found):
    return [(span.range.partition, span.range.start, span.range.end) for span in found]


def outcomes(lander):
    landed = spans.committed(lander.ledger, "t")
    return {v.partition: v.outcome for v in audit_topic(MemoryBroker(lander.source), lander.state_dir, landed)}


def test_all_that_the_log_holds_is_landed_once(lander):
    """I1: the committed ranges tile each partition; a second run lands nothing."""
    wanted = [(0, 0, 10), (0, 10, 20), (0, 20, 25), (2, 0, 10), (2, 10, 20), (2, 20, 30), (2, 30, 40)]
    assert ranges(lander.land_topic("t")) == wanted
    assert lander.land_topic("t") == []
    assert ranges(spans.committed(lander.ledger, "t")) == wanted
    assert outcomes(lander) == {0: "equal", 2: "equal"}


def test_what_comes_later_is_landed_by_the_next_run(lander):
    lander.land_topic("t")
    lander.source.append("t", 0, 7)
    assert ranges(lander.land_topic("t")) == [(0, 25, 32)]
    assert outcomes(lander) == {0: "equal", 2: "equal"}


def test_a_file_is_named_by_its_range_and_digest(lander):
    """I2: the row's digest is that of the file, and part of its name."""
    first = lander.land_topic("t")[0]
    assert first.path == f"spans/t/0/0-10-{first.sha256[:16]}.parquet"
    assert sha256_of(lander.state_dir / first.path) == first.sha256


def test_a_planned_range_is_landed_first_and_unchanged(lander):
    """The plan is the key: a run with another span size finishes the old plan as it stands."""
    log = lander.source.logs("t")[0]
    with lander.holding("t", 0, 0) as lease:
        spans.plan(
            lander.ledger, lease.lease, [SpanRange("t", log.topic_id, 0, 0, 3), SpanRange("t", log.topic_id, 0, 3, 21)]
        )
    assert ranges(dataclasses.replace(lander, span_records=100).land_partition(log)) == [
        (0, 0, 3),
        (0, 3, 21),
        (0, 21, 25),
    ]
    assert outcomes(lander)[0] == "equal"


def test_the_same_range_gives_the_same_bytes_however_the_broker_hands_it_out(lander, stream, tmp_path):
    """I2: a second landing of a range, after a crash before the commit, writes the same file."""
    first = lander.land_partition(stream.logs("t")[2])
    stream.batch = 3
    with lander.holding("t", 2, 0) as lease:
        again = [write_range(stream, tmp_path / "again", span.range, lease.keep) for span in first]
    assert again == first


def test_offsets_may_have_holes(lander, stream):
    """Compaction and transactions leave holes; a range of nothing but holes is landed as an empty file."""
    held = stream.partitions["t"][0]
    held[:] = [row for row in held if row[0] not in (0, 4, *range(10, 20), 24)]
    stream.append("t", 0, 0)
    log = dataclasses.replace(stream.logs("t")[0], end=25)
    landed = lander.land_partition(log)
    assert [span.records for span in landed] == [8, 0, 4]
    assert outcomes(lander)[0] == "equal"


def told_beginnings(lander):
    """What a landing says of what was gone before it came."""
    told = []
    dataclasses.replace(lander, emit=told.append).land_topic("t")
    return [(one.partition, one.start, one.sentence) for one in told if isinstance(one, LandedLate)]


def test_the_first_landing_says_and_records_what_was_gone_before_it(lander, stream):
    """Once; also where nothing is left to land. What is there is landed."""
    stream.expire("t", 0, 8)
    stream.expire("t", 2, 40)
    gone = "were gone from the broker before the first landing came."
    sentences = [f"t/0: offsets 0 to 7 {gone}", f"t/2: offsets 0 to 39 {gone}"]
    assert told_beginnings(lander) == [(0, 8, sentences[0]), (2, 40, sentences[1])]
    assert told_beginnings(lander) == []
    found = spans.beginnings(lander.ledger, "t")
    assert {number: one.start for number, one in found.items()} == {0: 8, 1: 0, 2: 40}
    assert {one.origin for one in found.values()} == {"landing"}
    assert ranges(spans.committed(lander.ledger, "t")) == [(0, 8, 18), (0, 18, 25)]


@pytest.mark.parametrize(("partition", "more", "start"), [(0, 10, 30), (1, 5, 2), (2, 10, 45)])
def test_what_is_deleted_after_a_landing_is_refused(lander, stream, partition, more, start):
    """Also of a partition of which nothing was landed yet: the lander had been there, and came back too late."""
    stream.expire("t", 2, 40)
    lander.land_topic("t")
    stream.append("t", partition, more)
    stream.expire("t", partition, start)
    with pytest.raises(Conflict, match="were deleted before they were landed"):
        lander.land_topic("t")


def test_where_nothing_was_left_the_next_landing_follows_on(lander, stream):
    stream.expire("t", 2, 40)
    lander.land_topic("t")
    stream.append("t", 2, 5)
    assert ranges(lander.land_topic("t")) == [(2, 40, 45)]
    assert told_beginnings(lander) == []


def test_a_log_that_an_open_transaction_holds_back_is_told(lander, stream):
    logs = stream.logs("t")
    stream.logs = lambda _topic: [dataclasses.replace(logs[0], held_back=3), *logs[1:]]
    told = []
    dataclasses.replace(lander, held_back=told.append).land_topic("t")
    assert [(log.partition, log.held_back) for log in told] == [(0, 3)]


def test_a_planned_range_that_was_compacted_meanwhile_is_landed_as_it_is(lander, stream):
    """The crash came before the commit, so nothing is named by a row yet: what the broker still has, counts."""
    log = stream.logs("t")[0]
    with lander.holding("t", 0, 0) as lease:
        spans.plan(lander.ledger, lease.lease, [SpanRange("t", log.topic_id, 0, 0, 20)])
        write_range(stream, lander.state_dir, SpanRange("t", log.topic_id, 0, 0, 20), lease.keep)
    stream.compact("t", 0, before=20)
    assert [span.records for span in lander.land_partition(stream.logs("t")[0])] == [3, 5]
    assert outcomes(lander)[0] == "equal"


def test_landed_spans_are_told(lander):
    told = []
    landed = dataclasses.replace(lander, emit=told.append).land_topic("t")
    assert [(one.partition, one.start, one.end, one.records) for one in told] == [
        (span.range.partition, span.range.start, span.range.end, span.records) for span in landed
    ]
    assert told[0].sentence == "landed t/0 [0, 10): 10 records"


def test_a_topic_made_again_while_a_span_is_read_is_not_landed(lander, stream):
    """The broker's clients go by name and read on silently in the new topic."""
    log = stream.logs("t")[0]
    read = stream.read

    def read_while_remade(span):
        yield from read(span)
        stream.make("t", 25)

    stream.read = read_while_remade
    with pytest.raises(Conflict, match="deleted and made again"):
        lander.land_partition(log)
    assert spans.committed(lander.ledger, "t") == []


def test_a_topic_made_again_between_runs_is_refused(lander, stream):
    lander.land_topic("t")
    stream.make("t", 99, 99, 99)
    with pytest.raises(Conflict, match="deleted and made again"):
        lander.land_topic("t")


def test_an_unknown_topic_is_refused(lander):
    with pytest.raises(BadInput, match="nowhere"):
        lander.land_topic("nowhere")


def test_a_lander_that_was_overtaken_while_it_read_cannot_commit(lander, stream):
    """I3: its lease ran out, another lander took over and landed the range; the rows are the other's."""
    slow = dataclasses.replace(lander, holder="slow", lease_s=1e-6)
    other = dataclasses.replace(lander, holder="other", source=copy(stream))
    log = stream.logs("t")[0]
    read = stream.read

    def read_while_overtaken(span):
        if span.start == 0:
            other.land_partition(log)
        yield from read(span)

    stream.read = read_while_overtaken
    with pytest.raises(Fenced):
        slow.land_partition(log)
    assert ranges(spans.committed(lander.ledger, "t")) == [(0, 0, 10), (0, 10, 20), (0, 20, 25)]
    assert outcomes(lander)[0] == "equal"


def test_a_lander_that_was_overtaken_after_it_had_read_cannot_commit(lander, stream, monkeypatch):
    """I3: it holds the file of its range, and no valid token any more: the ledger refuses the row."""
    other = dataclasses.replace(lander, holder="other")
    log = stream.logs("t")[0]

    def write_while_overtaken(*arguments):
        ref = write_range(*arguments)
        monkeypatch.undo()
        leases.acquire(lander.ledger, "land/t/0", lander.holder, 0.0)  # ours has run out
        other.land_partition(log)
        return ref

    monkeypatch.setattr(landing, "write_range", write_while_overtaken)
    with pytest.raises(Fenced):
        lander.land_partition(log)
    assert ranges(spans.committed(lander.ledger, "t")) == [(0, 0, 10), (0, 10, 20), (0, 20, 25)]


def test_a_lease_is_renewed_while_a_long_span_is_read(lander, stream, monkeypatch):
    """A span may take longer than a lease lasts: it is renewed on the way, and nobody else gets in."""
    renewed = []
    monkeypatch.setattr(leases, "renew", lambda _ledger, lease, ttl_s: renewed.append(ttl_s) or lease)
    dataclasses.replace(lander, lease_s=1e-6).land_partition(stream.logs("t")[0])
    assert renewed


def test_a_lease_that_is_young_is_left_alone(lander, stream, monkeypatch):
    monkeypatch.setattr(leases, "renew", lambda *_: pytest.fail("renewed too early"))
    lander.land_partition(stream.logs("t")[0])


def test_partitions_that_somebody_else_lands_come_last(lander, stream):
    """Two landers at once share the work: what is taken is left, then waited for."""
    lease = leases.acquire(lander.ledger, "land/t/0", "other", 600)

    def other_ends(_landed):
        leases.release(lander.ledger, lease)

    landed = dataclasses.replace(lander, emit=other_ends).land_topic("t")
    assert ranges(landed)[-3:] == [(0, 0, 10), (0, 10, 20), (0, 20, 25)]
    with pytest.raises(Fenced):
        leases.renew(lander.ledger, lease, 1)


def test_a_lander_that_is_alive_is_not_pushed_aside(lander):
    """75: try again later."""
    leases.acquire(lander.ledger, "land/t/0", "other", 60)
    with pytest.raises(LeaseTaken, match="held by other"):
        dataclasses.replace(lander, lease_s=0.2).land_topic("t")
    assert {span.range.partition for span in spans.committed(lander.ledger, "t")} == {2}


def test_a_failed_run_gives_its_lease_back(lander, stream):
    """So that the next one need not wait for it to run out."""

    def fail(_span):
        raise Unavailable("gone")

    stream.read = fail
    with pytest.raises(Unavailable):
        lander.land_topic("t")
    leases.acquire(lander.ledger, "land/t/0", "next", 1)


def test_a_partition_whose_rows_were_lost_is_not_landed_again(lander, tmp_path):
    """I1: its files are there, so a plan was; nothing is planned, and no file is swept, however old."""
    landed = [lander.state_dir / span.path for span in lander.land_topic("t")]
    for path in landed:
        os.utime(path, (0, 0))
    other = dataclasses.replace(lander, ledger=Ledger(f"sqlite:///{tmp_path / 'new.db'}"))
    with pytest.raises(Conflict, match=r"spans/t/0 has landed spans that the ledger .*new\.db does not know.* rebuild"):
        other.land_topic("t")
    assert spans.topics(other.ledger) == []
    assert all(path.exists() for path in landed)
    other.ledger.close()
