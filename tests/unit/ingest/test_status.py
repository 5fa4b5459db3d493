"""The status says what is landed, what is planned and what waits."""

from koboshi.ingest.status import PartitionStatus, partition_statuses
from koboshi.ledger import spans
from koboshi.refs import SpanRange


def test_a_landed_partition_has_no_lag_and_a_grown_one_has(lander, stream):
    lander.land_topic("t")
    stream.append("t", 2, 5)
    rows = partition_statuses(stream.logs("t"), spans.committed(lander.ledger, "t"), [])
    assert rows == [
        PartitionStatus("t", 0, 25, 25, 25, 0, 3, 25),
        PartitionStatus("t", 1, 0, 0, 0, 0, 0, 0),
        PartitionStatus("t", 2, 40, 40, 45, 5, 4, 40),
    ]


def test_a_planned_range_is_shown_before_it_is_landed(stream):
    planned = [SpanRange("t", stream.topic_id("t"), 0, 0, 20)]
    row = partition_statuses(stream.logs("t"), [], planned)[0]
    assert (row.committed_end, row.planned_end, row.lag_records) == (0, 20, 25)
