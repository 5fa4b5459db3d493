"""Planning: the spans of a partition tile it (I1), from whatever state the ledger and the log are in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.errors import Conflict
from koboshi.ingest.landing import check_readable, plan_spans
from koboshi.ingest.source import PartitionLog
from koboshi.refs import SpanRange

OFFSETS = st.integers(0, 10_000)


def log(start=0, end=100, topic_id="a"):
    return PartitionLog("t", topic_id, 3, start, end)


def span(start, end, topic_id="a"):
    return SpanRange("t", topic_id, 3, start, end)


@given(start=OFFSETS, length=OFFSETS, span_records=st.integers(1, 3_000))
def test_a_new_partition_is_tiled_from_its_first_offset_to_its_end(start, length, span_records):
    """I1: each offset is in exactly one range; none is longer than a span may be, only the last is shorter."""
    ranges = plan_spans(log(start, start + length), None, span_records)
    edges = [edge for planned in ranges for edge in (planned.start, planned.end)]
    assert edges[1:-1:2] == edges[2::2]
    assert (edges[:1], edges[-1:]) == (([start], [start + length]) if length else ([], []))
    assert all(planned.end - planned.start == span_records for planned in ranges[:-1])
    assert all(0 < planned.end - planned.start <= span_records for planned in ranges)


@given(ends=st.lists(OFFSETS, min_size=1, max_size=5), sizes=st.lists(st.integers(1, 3_000), min_size=5, max_size=5))
def test_planning_goes_on_where_it_ended_however_the_log_grows_and_the_span_size_changes(ends, sizes):
    """I1 over several runs: what a run plans starts at the last planned end, and the whole tiles the log."""
    planned = []
    for end, size in zip(sorted(ends), sizes, strict=False):
        planned += plan_spans(log(0, end), planned[-1] if planned else None, size)
        assert sum(one.end - one.start for one in planned) == end
        assert [one.start for one in planned[1:]] == [one.end for one in planned[:-1]]


def test_nothing_new_plans_nothing():
    assert plan_spans(log(end=100), span(40, 100), 10) == []


def test_ranges_carry_the_topics_identity():
    assert plan_spans(log(), None, 1_000) == [span(0, 100)]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (log(topic_id="b"), "deleted and made again"),
        (log(end=49), "ends at 49, but 50 was its end before"),
        (log(start=61), "offsets 50 to 60 were deleted before they were landed"),
    ],
)
def test_a_log_that_does_not_follow_on_is_refused(found, sentence):
    """No gap, no other topic under the same name: a person is told instead."""
    with pytest.raises(Conflict, match=sentence):
        plan_spans(found, span(40, 50), 10)


def test_what_was_landed_may_be_deleted_from_the_log():
    """Retention behind the landed end is no loss."""
    assert plan_spans(log(start=50), span(40, 50), 100) == [span(50, 100)]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (log(topic_id="b"), "deleted and made again"),
        (log(end=59), "ends at 59, but 60 was its end before"),
        (log(start=41), "offsets 40 to 40 were deleted"),
        (log(start=70), "offsets 40 to 59 were deleted"),
    ],
)
def test_a_planned_range_that_cannot_be_read_in_full_is_refused(found, sentence):
    with pytest.raises(Conflict, match=sentence):
        check_readable(span(40, 60), found)


def test_a_planned_range_that_is_there_is_readable():
    check_readable(span(40, 60), log(start=40, end=60))
