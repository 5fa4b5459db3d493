"""The audit: it says *equal* only of what is equal, and names the first offset that is not."""

import dataclasses

import pytest

from koboshi.ingest.audit import audit_topic, first_difference
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


def test_the_first_difference_is_the_lowest_offset():
    rows = [(offset, 0, None, None, []) for offset in range(4)]
    assert first_difference(iter(rows), iter(rows)) is None
    assert first_difference(iter(rows), iter(rows[:2])) == 2
    assert first_difference(iter(rows[1:]), iter(rows)) == 0
    assert first_difference(iter([]), iter(rows)) == 0
