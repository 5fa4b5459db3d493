"""The audit: it says *equal* only of what is equal, and names the first offset that is not."""

import dataclasses

import pytest

from koboshi.ingest.audit import audit_topic
from koboshi.ingest.landing import write_range
from koboshi.ledger import spans
from tests.support.memory_stream import MemoryBroker


@pytest.fixture
def landed(lander):
    lander.land_topic("t")
    return spans.committed(lander.ledger, "t")


@pytest.fixture
def verdict(stream, landed, tmp_path):
    """The audit's verdict on partition 0."""

    def verdict(refs=None):
        return next(audit_topic(MemoryBroker(stream), tmp_path, landed if refs is None else refs))

    return verdict


def change(stream, offset, **fields):
    names = ["offset", "timestamp_ms", "key", "value", "headers"]
    row = dict(zip(names, stream.partitions["t"][0][offset], strict=True)) | fields
    stream.partitions["t"][0][offset] = tuple(row[name] for name in names)


def change_held(stream, offset, **fields):
    """The same where offsets have holes."""
    held = stream.partitions["t"][0]
    (index,) = (number for number, row in enumerate(held) if row[0] == offset)
    names = ["offset", "timestamp_ms", "key", "value", "headers"]
    held[index] = tuple((dict(zip(names, held[index], strict=True)) | fields).values())


def test_each_landed_partition_gets_a_verdict(stream, landed, tmp_path):
    found = list(audit_topic(MemoryBroker(stream), tmp_path, landed))
    assert [(v.partition, v.outcome, v.records, v.stands) for v in found] == [
        (0, "equal", 25, True),
        (2, "equal", 40, True),
    ]


@pytest.mark.parametrize(
    "fields",
    [{"key": b"other"}, {"key": None}, {"value": b"other"}, {"value": None}, {"timestamp_ms": 1}, {"headers": []}],
)
def test_any_part_of_a_record_that_differs_is_found_at_its_offset(stream, verdict, fields):
    change(stream, 12, **fields)
    found = verdict()
    assert (found.outcome, found.offset, found.stands) == ("different", 12, False)


def test_a_record_that_was_never_landed_is_found(stream, landed, verdict, tmp_path):
    """A span whose file lacks a record, though row and file agree: only reading the broker again shows it."""
    stream.partitions["t"][0].pop(11)
    lost = write_range(stream, tmp_path, landed[1].range, lambda: None)
    stream.partitions["t"][0].insert(11, (11, 0, None, None, []))
    found = verdict([landed[0], lost, landed[2]])
    assert (found.outcome, found.offset) == ("different", 11)


def test_a_record_that_the_broker_lost_is_found(stream, verdict):
    stream.partitions["t"][0].pop()
    assert verdict().offset == 24


def test_a_gap_between_committed_spans_is_found(landed, verdict):
    """I1, from the ledger alone."""
    found = verdict([landed[0], landed[2]])
    assert (found.outcome, found.offset) == ("different", 10)


def test_a_doubled_offset_is_found(landed, verdict):
    """I1: an overlap is named at its first offset."""
    wide = dataclasses.replace(landed[0], range=dataclasses.replace(landed[0].range, end=12))
    found = verdict([wide, *landed[1:3]])
    assert (found.outcome, found.offset) == ("different", 10)


@pytest.mark.parametrize("where", [4, -1])
def test_a_flipped_byte_is_found_before_the_file_is_used(landed, verdict, tmp_path, where):
    """I2: the file is named."""
    path = tmp_path / landed[1].path
    changed = bytearray(path.read_bytes())
    changed[where] ^= 1
    path.write_bytes(changed)
    found = verdict()
    assert (found.outcome, found.stands) == ("broken", False)
    assert path.name in found.detail


def test_a_lost_file_is_found(landed, verdict, tmp_path):
    (tmp_path / landed[2].path).unlink()
    assert verdict().outcome == "broken"


def test_deleted_records_are_said_to_be_gone_and_the_rest_is_compared(stream, verdict):
    stream.expire("t", 0, 13)
    found = verdict()
    assert (found.outcome, found.stands) == ("no longer on the broker", True)
    assert found.detail == "offsets 0 to 12; all later ones are equal"
    change(stream, 20, value=b"other")
    assert verdict().offset == 20


def test_all_deleted_is_said_plainly(stream, verdict):
    stream.expire("t", 0, 99)
    assert verdict().detail == "offsets 0 to 24"


def test_a_topic_that_is_gone_or_was_made_again_is_said(stream, verdict):
    stream.make("t", 25, 0, 40)
    assert "made again" in verdict().detail
    del stream.ids["t"]
    found = verdict()
    assert (found.outcome, found.detail) == ("no longer on the broker", "the topic was deleted")


def newest_of(stream, key):
    return max(row for row in stream.partitions["t"][0] if row[2] == key)


class TestOfACompactedTopic:
    """What compaction takes away is counted; whatever it cannot have taken away is a difference, as everywhere."""

    @pytest.fixture(autouse=True)
    def compacted(self, stream, landed):
        """The first 20 records of partition 0 were compacted, the last five are in the newest file."""
        stream.compact("t", 0, before=20)
        assert [row[0] for row in stream.partitions["t"][0]] == [17, 18, 19, 20, 21, 22, 23, 24]
        return landed

    def test_what_was_compacted_away_is_counted_and_the_rest_is_compared(self, verdict):
        found = verdict()
        assert (found.outcome, found.stands, found.records) == ("no longer on the broker", True, 25)
        assert (found.no_longer_on_broker, found.offset) == (17, None)
        assert found.detail == "17 records that were compacted away; all others are equal"

    def test_a_record_that_both_have_and_that_differs_is_found(self, stream, verdict):
        change_held(stream, 22, value=b"other")
        assert (verdict().outcome, verdict().offset) == ("different", 22)

    def test_a_record_that_the_lander_lost_is_found(self, stream, landed, verdict, tmp_path):
        """The broker has it, and we have not: compaction explains nothing of that."""
        held = stream.partitions["t"][0]
        lost = held.pop(-3)
        again = write_range(stream, tmp_path, landed[2].range, lambda: None)
        held.insert(-2, lost)
        found = verdict([*landed[:2], again])
        assert (found.outcome, found.offset) == ("different", lost[0])

    def test_the_same_holes_in_a_topic_that_is_not_compacted_are_a_difference(self, stream, verdict):
        """The control: records that we hold and the broker never had."""
        stream.compacted.clear()
        found = verdict()
        assert (found.outcome, found.offset, found.stands) == ("different", 0, False)
        assert found.detail == "the broker holds nothing there, in a topic that is not compacted"

    def test_the_newest_record_of_a_key_is_never_compacted_away(self, stream, verdict):
        """The control: it has no later record of its key that would explain why the broker lacks it."""
        newest = newest_of(stream, b"k1")
        stream.partitions["t"][0].remove(newest)
        found = verdict()
        assert (found.outcome, found.offset) == ("different", newest[0])
        assert "nor a later one of its key" in found.detail

    def test_a_record_behind_the_landed_ones_explains_it_as_well(self, stream, verdict):
        stream.partitions["t"][0].remove(newest_of(stream, b"k1"))
        stream.partitions["t"][0].append((25, 0, b"k1", b"newer", []))
        assert verdict().outcome == "no longer on the broker"

    def test_where_later_records_were_compacted_too_nothing_is_said_against_it(self, stream, verdict):
        """The one that explains it may be gone in its turn: a deletion of the key that has served its time."""
        stream.partitions["t"][0].remove(newest_of(stream, b"k1"))
        stream.partitions["t"][0].append((26, 0, b"other", b"v", []))
        assert verdict().outcome == "no longer on the broker"

    def test_what_retention_and_compaction_took_is_counted_together(self, stream, verdict):
        stream.expire("t", 0, 12)
        found = verdict()
        assert (found.outcome, found.no_longer_on_broker) == ("no longer on the broker", 17)
        assert found.detail == "offsets 0 to 11 and 5 records that were compacted away; all others are equal"


class TestOfAPartitionThatBeganLate:
    """What was gone before the first landing is counted, and does not hide what is wrong."""

    @pytest.fixture
    def late(self, stream, lander, tmp_path):
        """Partition 0 begins at 10; partition 2 had nothing left."""
        stream.expire("t", 0, 10)
        stream.expire("t", 2, 40)
        lander.land_topic("t")

        def verdicts(without=()):
            held = [s for s in spans.committed(lander.ledger, "t") if s.range.start not in without]
            return list(audit_topic(MemoryBroker(stream), tmp_path, held, spans.beginnings(lander.ledger, "t")))

        return verdicts

    def test_it_is_counted_also_where_nothing_was_left_to_land(self, late):
        assert [(v.partition, v.outcome, v.records, v.gone_before_landing) for v in late()] == [
            (0, "equal", 15, 10),
            (2, "equal", 0, 40),
        ]
        assert late()[0].detail == "offsets 0 to 9 were gone from the broker before the first landing came"

    def test_a_lost_first_span_is_not_taken_for_records_that_were_gone(self, late):
        """I1: the spans have to begin where the landing began."""
        assert [(v.outcome, v.offset) for v in late(without=[10])] == [("different", 10), ("equal", None)]

    @pytest.mark.parametrize("partition", [0, 2])
    def test_a_record_before_the_beginning_that_the_broker_has_is_a_difference(self, stream, late, partition):
        """It was not gone, then: the negative control of the count."""
        stream.expire("t", partition, 5)
        found = {v.partition: v for v in late()}[partition]
        assert (found.outcome, found.offset) == ("different", 5)
        assert "landing began at" in found.detail

    def test_a_difference_is_told_before_what_was_gone(self, stream, late):
        change(stream, 12, value=b"other")
        assert late()[0].detail.startswith("the broker holds something else there; offsets 0 to 9 were gone")

    def test_what_is_deleted_later_is_counted_apart(self, stream, late):
        stream.expire("t", 0, 12)
        found = late()[0]
        assert (found.outcome, found.no_longer_on_broker) == ("no longer on the broker", 2)
        assert found.gone_before_landing == 10
        before = "offsets 0 to 9 were gone from the broker before the first landing came"
        assert found.detail == f"offsets 10 to 11; all later ones are equal; {before}"
