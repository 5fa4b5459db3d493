"""The status says what is landed, what is planned, what waits, what is held back and what was gone."""

import dataclasses

from koboshi.ingest.source import OpenTransaction, PartitionLog, PartitionStatus, held_back, partition_statuses
from koboshi.ledger import spans
from koboshi.refs import SpanRange


def statuses(lander, stream):
    known = (read(lander.ledger, "t") for read in (spans.committed, spans.planned, spans.beginnings))
    return partition_statuses(stream.logs("t"), *known)


def test_a_landed_partition_has_no_lag_and_a_grown_one_has(lander, stream):
    lander.land_topic("t")
    stream.append("t", 2, 5)
    assert statuses(lander, stream) == [
        PartitionStatus("t", 0, 25, 25, 25, 25, 0, 0, 0, 3, 25),
        PartitionStatus("t", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        PartitionStatus("t", 2, 40, 40, 45, 45, 5, 0, 0, 4, 40),
    ]


def test_a_planned_range_is_shown_before_it_is_landed(stream):
    planned = [SpanRange("t", stream.topic_id("t"), 0, 0, 20)]
    row = partition_statuses(stream.logs("t"), [], planned, {})[0]
    assert (row.committed_end, row.planned_end, row.lag_records) == (0, 20, 25)


def test_offsets_that_were_gone_before_the_first_landing_are_counted(lander, stream):
    """Also before there is one, and where nothing was left; what is deleted afterwards does not count."""
    stream.expire("t", 0, 10)
    stream.expire("t", 2, 40)
    before = statuses(lander, stream)
    lander.land_topic("t")
    stream.expire("t", 0, 20)
    for rows in (before, statuses(lander, stream)):
        assert [row.gone_before_landing for row in rows] == [10, 0, 40]
        assert [row.committed_end for row in rows][2] == 40
    assert [row.lag_records for row in before] == [15, 0, 0]


LOG = PartitionLog("t", "id", 1, 0, 20, held_back=16)
OPEN = OpenTransaction("t", 1, 20, 5, "billing-7", 0)


def test_what_a_transaction_holds_back_is_no_lag_but_is_counted():
    row = partition_statuses([LOG], [], [], {})[0]
    assert (row.last_stable_offset, row.high_watermark) == (20, 36)
    assert (row.lag_records, row.held_back_records) == (20, 16)


def test_the_transaction_that_holds_records_back_is_named():
    """The first one of the partition; also where the cluster tells no name, or nothing."""
    later = dataclasses.replace(OPEN, first_offset=30, transactional_id="other")
    elsewhere = dataclasses.replace(OPEN, partition=0, transactional_id="elsewhere")
    said = held_back(LOG, [elsewhere, OPEN, later])
    assert said.startswith("t/1: 16 records from offset 20 on are held back by an open transaction of producer 5 ")
    assert "(transactional id billing-7)" in said
    assert "id not told by the cluster" in held_back(LOG, [dataclasses.replace(OPEN, transactional_id="")])
    assert "whose producer the cluster does not tell" in held_back(LOG, [elsewhere])
