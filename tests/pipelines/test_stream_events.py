"""The stream's events: the same for everybody, in order of time over both topics, each record as the topics say."""

import json

import polars as pl
import pytest
from kafka.partitioner import murmur2

from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import Disturbance, as_stream, stream_name, with_reports
from pipelines.topics import FRAUD_REPORTS, TOPICS, TRANSACTIONS

SIZE = Simulation(seed=3, customers=60, terminals=80, days=30)


@pytest.fixture(scope="module")
def transactions():
    return with_reports(simulate(SIZE), seed=3)


@pytest.fixture(scope="module")
def events(transactions):
    return as_stream("name", transactions, Disturbance(3)).events


def of(events, topic):
    return events.filter(pl.col("topic") == TOPICS.index(topic))


def types_of(value):
    """The fields of a JSON value and their types, or None if it is none."""
    try:
        return {name: type(field) for name, field in json.loads(value.decode()).items()}
    except ValueError:
        return None


def test_events_are_numbered_in_order_of_time(events):
    assert events["seq"].to_list() == list(range(len(events)))
    assert events["timestamp_ms"].is_sorted()


def test_values_say_what_the_transactions_are(transactions, events):
    """Fields and types are those that the topic declares; money is in cents, times are to the second."""
    decoded = [json.loads(value) for value in of(events, TRANSACTIONS)["value"]]
    wanted = transactions.sort("transaction_id")
    assert [row["transaction_id"] for row in decoded] == wanted["transaction_id"].to_list()
    assert [row["amount_cents"] for row in decoded] == wanted["amount_cents"].to_list()
    assert [row["tx_datetime"] for row in decoded] == [when.isoformat() for when in wanted["tx_datetime"]]
    for topic in TOPICS:
        for key, value in of(events, topic).select("key", "value").iter_rows():
            assert types_of(value) == topic.fields
            assert key == str(json.loads(value)[topic.key]).encode()


def test_each_fraud_is_reported_once_one_to_seven_days_later(transactions, events):
    """What nobody reports is genuine."""
    reports = [json.loads(value) for value in of(events, FRAUD_REPORTS)["value"]]
    frauds = transactions.filter("is_fraud")
    assert sorted(report["transaction_id"] for report in reports) == frauds["transaction_id"].to_list()
    days = (frauds["reported_at"] - frauds["tx_datetime"]).dt.total_seconds() / 86_400
    assert days.is_between(1, 7).all()
    assert days.min() < 2
    assert days.max() > 6


def test_keys_are_placed_where_every_client_places_them(events):
    for topic, key, partition in events.select("topic", "key", "partition").unique().iter_rows():
        assert partition == (murmur2(key) & 0x7FFFFFFF) % TOPICS[topic].partitions


def test_a_report_does_not_depend_on_which_days_are_streamed(transactions):
    """So the window may be widened without another truth."""
    half = transactions.filter(pl.col("transaction_id") >= len(transactions) // 2)
    part = of(as_stream("part", half, Disturbance(3)).events, FRAUD_REPORTS)["value"]
    whole = of(as_stream("whole", transactions, Disturbance(3)).events, FRAUD_REPORTS)["value"]
    assert len(part) > 0
    assert set(part) < set(whole)


def test_duplicates_and_garbage_stand_between_the_same_events(transactions, events):
    """Without them the stream is the undisturbed one; their shares are those asked for."""
    disturbed = as_stream("name", transactions, Disturbance(3, duplicate_share=0.1, garbage_share=0.02)).events
    columns = ["topic", "partition", "key", "value", "timestamp_ms"]
    genuine = disturbed.filter(pl.col("value").is_in(events["value"].implode()))
    assert len(genuine) - len(events) == round(len(events) * 0.1)
    assert len(disturbed) - len(genuine) == round(len(events) * 0.02)
    assert genuine.unique(["topic", "value"], keep="first", maintain_order=True)[columns].equals(events[columns])


def test_duplicates_come_later_and_in_the_partition_of_the_original(transactions):
    disturbed = as_stream("name", transactions, Disturbance(3, duplicate_share=0.1)).events
    twice = disturbed.filter(pl.struct("topic", "value").is_duplicated())
    assert twice.group_by("topic", "value").agg(pl.col("partition").n_unique())["partition"].max() == 1
    assert disturbed["seq"].to_list() == list(range(len(disturbed)))


def test_garbage_cannot_be_taken_for_an_event(transactions, events):
    disturbed = as_stream("name", transactions, Disturbance(3, garbage_share=0.05)).events
    garbage = disturbed.filter(~pl.col("value").is_in(events["value"].implode()))
    assert len(garbage) > 20
    for topic, value in garbage.select("topic", "value").iter_rows():
        assert types_of(value) != TOPICS[topic].fields


def test_the_disturbance_comes_from_the_seed(transactions):
    def disturbed(seed):
        return as_stream("name", transactions, Disturbance(seed, 0.05, 0.01)).events

    assert disturbed(3).equals(disturbed(3))
    assert not disturbed(3).equals(disturbed(4))


def test_a_streams_name_follows_from_its_origin():
    assert stream_name(seed=1, days=2) == stream_name(days=2, seed=1) != stream_name(seed=2, days=2)
