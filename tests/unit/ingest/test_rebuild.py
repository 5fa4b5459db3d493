"""A lost ledger is made again from span files alone, and nothing that knew the old one counts any more (I1 to I3)."""

import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from koboshi.cli import app
from koboshi.errors import BadInput, Conflict, Corrupt, Fenced
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.landing import write_range
from koboshi.ingest.rebuild import decide_spans, rebuild_spans
from koboshi.ledger import Ledger, database, leases, spans
from koboshi.refs import SpanRange, SpanRef
from tests.support.memory_stream import MemoryBroker


def lose_the_ledger(tmp_path):
    """And open a new one in its place."""
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def rebuilt(tmp_path, **topic_ids):
    ledger = lose_the_ledger(tmp_path)
    rebuild_spans(ledger, tmp_path, topic_ids, lambda _: None)
    return ledger


def audited(stream, tmp_path, ledger):
    return [v.outcome for v in audit_topic(MemoryBroker(stream), tmp_path, spans.committed(ledger, "t"))]


def test_the_rows_are_as_before_and_landing_goes_on(lander, ledger, stream, tmp_path):
    lander.land_topic("t")
    before = spans.committed(ledger, "t")
    ledger = rebuilt(tmp_path)
    assert spans.committed(ledger, "t") == before
    assert audited(stream, tmp_path, ledger) == ["equal", "equal"]
    stream.append("t", 0, 12)
    landed = replace(lander, ledger=ledger).land_topic("t")
    assert [(span.range.start, span.range.end) for span in landed] == [(25, 35), (35, 37)]
    assert audited(stream, tmp_path, ledger) == ["equal", "equal"]


def test_where_landing_began_is_taken_from_the_first_spans(lander, ledger, stream, tmp_path):
    """As far as they tell: a lost first file looks as if its records had been gone, and is found by the audit."""
    stream.expire("t", 0, 4)
    stream.expire("t", 2, 40)
    lander.land_topic("t")
    found = spans.beginnings(rebuilt(tmp_path), "t")
    assert [(one.partition, one.start, one.origin) for one in found.values()] == [(0, 4, "spans")]
    next((tmp_path / "spans/t/0").glob("4-14-*")).unlink()
    ledger = rebuilt(tmp_path)
    landed, begun = spans.committed(ledger, "t"), spans.beginnings(ledger, "t")
    [verdict] = audit_topic(MemoryBroker(stream), tmp_path, landed, begun)
    assert (verdict.outcome, verdict.offset) == ("different", 4)
    stream.expire("t", 0, 14)
    [verdict] = audit_topic(MemoryBroker(stream), tmp_path, landed, begun)
    assert (verdict.outcome, verdict.gone_before_landing) == ("equal", 14)
    assert "or their files are lost" in verdict.detail


def test_the_verb_says_which_first_offsets_no_file_holds(lander, tmp_path, monkeypatch):
    """Files alone do not tell why; so a person is asked to look."""
    lander.land_topic("t")
    next((tmp_path / "spans/t/0").glob("0-10-*")).unlink()
    lose_the_ledger(tmp_path).close()
    (tmp_path / "koboshi.toml").write_text(f'state_dir = "{tmp_path}"')
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["ledger", "rebuild"]).output.splitlines()
    [told] = (line for line in said if line.startswith("t/0: no span file holds offsets 0 to 9: "))
    assert told.endswith("they were gone before the first landing, or their files are lost.")


def test_who_held_a_lease_of_the_lost_ledger_is_fenced(lander, ledger, stream, tmp_path):
    """Also when the new ledger's first holder would have got the same token, and before there is a holder."""
    lander.land_topic("t")
    zombie = leases.acquire(ledger, "land/t/0", "zombie", 60)
    trainer = leases.acquire(ledger, "training/run", "zombie", 60)
    ledger = rebuilt(tmp_path)
    stream.append("t", 0, 5)
    behind = SpanRange("t", stream.topic_id("t"), 0, 25, 30)
    for lease in (zombie, trainer):
        with pytest.raises(Fenced):
            spans.plan(ledger, lease, [behind])
    for lease in (zombie, trainer):
        assert leases.acquire(ledger, lease.name, "us", 60).token > lease.token
        with pytest.raises(Fenced):
            spans.plan(ledger, lease, [behind])
    assert spans.planned(ledger, "t") == []


def test_tokens_of_a_ledger_that_was_rebuilt_before_count_no_more(lander, ledger, tmp_path):
    """Rebuilt twice: the second one begins above all tokens that the first one gave."""
    lander.land_topic("t")
    first = rebuilt(tmp_path)
    tokens = [leases.acquire(first, "land/t/0", "us", 0).token for _ in range(9)]
    second = rebuilt(tmp_path)
    assert leases.acquire(second, "land/t/0", "us", 0).token > max(tokens)


def test_a_planned_range_that_was_never_committed_counts_when_its_file_is_there(lander, ledger, stream, tmp_path):
    """The lander was killed between the renaming and the row: the file is whole, and equal to the broker."""
    lander.land_topic("t")
    stream.append("t", 0, 5)
    behind = SpanRange("t", stream.topic_id("t"), 0, 25, 30)
    write_range(stream, tmp_path, behind, lambda: None)
    (tmp_path / "spans/t/0/.part-dead").write_bytes(b"half of one")
    ledger = rebuilt(tmp_path)
    assert spans.committed(ledger, "t")[3].range == behind
    assert audited(stream, tmp_path, ledger) == ["equal", "equal"]


def test_a_ledger_with_rows_is_not_overwritten(lander, ledger, tmp_path):
    """Any row: landed spans, or a lease that somebody holds."""
    lander.land_topic("t")
    before = spans.committed(ledger, "t")
    with pytest.raises(Conflict, match="has rows, and is not overwritten"):
        rebuild_spans(ledger, tmp_path, {}, lambda _: None)
    assert spans.committed(ledger, "t") == before
    ledger = lose_the_ledger(tmp_path)
    leases.acquire(ledger, "x", "somebody", 60)
    with pytest.raises(Conflict):
        rebuild_spans(ledger, tmp_path, {}, lambda _: None)
    assert not database.is_empty(ledger)


def flip(path):
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])


def rename_wrongly(path):
    path.rename(path.with_name("span.parquet"))


def rename_its_range(path):
    path.rename(path.with_name(path.name.replace("10-20-", "10-19-")))


def leave_out(path):
    path.unlink()


def copy_from_another_partition(path):
    """The same offsets, other records of the same number."""
    shutil.copy(next(path.parent.with_name("2").glob("10-20-*")), path.parent)


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (flip, Corrupt, "10-20-.* is not as it was landed"),
        (rename_wrongly, BadInput, "span.parquet is not named as a landed span"),
        (rename_its_range, Corrupt, "10-19-.* holds other offsets than its name says"),
        (leave_out, Conflict, "between .*0-10-.* and .*20-25-.* the records from 10 on are missing"),
        (copy_from_another_partition, None, ""),
    ],
)
def test_files_that_do_not_fit_are_named_and_nothing_is_rebuilt(lander, stream, tmp_path, harm, error, said):
    """Equal content under one range is one span, whoever wrote it; anything else is refused."""
    lander.land_topic("t")
    harm(next((tmp_path / "spans/t/0").glob("10-20-*")))
    ledger = lose_the_ledger(tmp_path)
    if error is None:
        assert len(rebuild_spans(ledger, tmp_path, {}, lambda _: None)) == 7
        return
    with pytest.raises(error, match=said):
        rebuild_spans(ledger, tmp_path, {}, lambda _: None)
    assert database.is_empty(ledger)


def test_no_files_are_nothing_to_rebuild(ledger, tmp_path):
    with pytest.raises(BadInput, match="nothing to rebuild"):
        rebuild_spans(ledger, tmp_path, {}, lambda _: None)


def file(start, end, path, *, content="c", topic_id="id", partition=0):
    return SpanRef(SpanRange("t", topic_id, partition, start, end), path, "s", content, end - start)


class TestDeciding:
    def test_files_in_any_order_tile_their_partitions(self):
        files = [file(5, 9, "b"), file(0, 5, "a"), file(3, 4, "c", partition=1)]
        assert decide_spans(files, {}) == [files[1], files[0], files[2]]

    def test_what_an_overtaken_lander_left_counts_once(self):
        """The same range and content in other bytes, written by another version of the library."""
        assert decide_spans([file(0, 5, "b"), file(0, 5, "a")], {}) == [file(0, 5, "a")]

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ([file(0, 5, "a"), file(0, 5, "b", content="d")], "a and b hold other records of the same range"),
            ([file(0, 5, "a"), file(0, 7, "b")], "a and b overlap"),
            ([file(0, 5, "a"), file(4, 7, "b")], "a and b overlap"),
            ([file(0, 9, "a"), file(4, 7, "b")], "a and b overlap"),
            ([file(0, 5, "a"), file(6, 7, "b")], "between a and b the records from 5 on are missing"),
            ([file(0, 5, "a"), file(5, 7, "b", topic_id="old")], "a and b are of two topics that were both named t"),
        ],
    )
    def test_what_does_not_agree_is_refused_with_both_names(self, files, said):
        with pytest.raises(Conflict, match=said):
            decide_spans(files, {})

    def test_a_file_that_does_not_tell_its_topic_is_of_the_others_topic(self):
        assert decide_spans([file(0, 5, "a", topic_id=""), file(5, 7, "b")], {})[0] == file(0, 5, "a")

    def test_where_no_file_tells_the_topic_it_has_to_be_given(self):
        with pytest.raises(BadInput, match="--topic-id t=ID"):
            decide_spans([file(0, 5, "a", topic_id="")], {})
        assert decide_spans([file(0, 5, "a", topic_id="")], {"t": "given"})[0].range.topic_id == "given"
