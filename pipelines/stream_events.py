"""From transactions to the stream's events: encoded, in order of time over both topics, numbered.

An event's number (`seq`) is its place in the stream, duplicates and garbage included. Everything follows from the
transactions and a seed, so each clone's stream has the same records at the same offsets.
"""

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import polars as pl
from kafka.partitioner import murmur2
from numpy.typing import NDArray

from koboshi.streams import Stream
from pipelines.topics import FRAUD_REPORTS, TOPICS, TRANSACTIONS, Topic

ISO_SECONDS = "%Y-%m-%dT%H:%M:%S"
DAY_S = 86_400
REPORTED_AFTER_DAYS = (1, 7)
LONGEST_DELAY_EVENTS = 5_000


@dataclasses.dataclass(frozen=True, slots=True)
class Disturbance:
    """Shares of events that come twice, and of records that no decoder can take; drawn from `seed`."""

    seed: int
    duplicate_share: float = 0.0
    garbage_share: float = 0.0


def stream_name(**origin: Any) -> str:
    """A short digest of what a stream follows from."""
    return hashlib.sha256(json.dumps(origin, sort_keys=True, default=str).encode()).hexdigest()[:12]


def with_reports(transactions: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Add `reported_at`: 1 to 7 days after a fraudulent transaction, null for a genuine one."""
    earliest, latest = (days * DAY_S for days in REPORTED_AFTER_DAYS)
    delay = np.random.default_rng([seed, 1]).integers(earliest, latest, len(transactions), endpoint=True)
    delayed = transactions.with_columns(delay_s=pl.Series(delay))
    reported_at = pl.col("tx_datetime") + pl.duration(seconds="delay_s")
    return delayed.with_columns(reported_at=pl.when(pl.col("is_fraud")).then(reported_at)).drop("delay_s")


def as_stream(name: str, transactions: pl.DataFrame, disturbance: Disturbance) -> Stream:
    """All events of these transactions and of their reports, disturbed as asked for, in order of time."""
    reports = transactions.filter(pl.col("reported_at").is_not_null())
    events = pl.concat([_transaction_events(transactions), _report_events(reports)])
    events = events.sort("timestamp_ms", "topic", "transaction_id").drop("transaction_id")
    events = _disturb(_with_partitions(events), disturbance)
    numbered = events.with_row_index("seq").with_columns(pl.col("seq").cast(pl.Int64))
    return Stream(name, numbered, {topic.name: topic.partitions for topic in TOPICS})


def _transaction_events(rows: pl.DataFrame) -> pl.DataFrame:
    value = pl.format(
        '{{"transaction_id":{},"tx_datetime":"{}","customer_id":{},"terminal_id":{},"amount_cents":{}}}',
        "transaction_id",
        pl.col("tx_datetime").dt.strftime(ISO_SECONDS),
        "customer_id",
        "terminal_id",
        "amount_cents",
    )
    return _encode(rows, TRANSACTIONS, value, "tx_datetime")


def _report_events(rows: pl.DataFrame) -> pl.DataFrame:
    reported_at = pl.col("reported_at").dt.strftime(ISO_SECONDS)
    value = pl.format('{{"transaction_id":{},"reported_at":"{}"}}', "transaction_id", reported_at)
    return _encode(rows, FRAUD_REPORTS, value, "reported_at")


def _encode(rows: pl.DataFrame, topic: Topic, value: pl.Expr, at: str) -> pl.DataFrame:
    return rows.select(
        "transaction_id",
        topic=pl.lit(TOPICS.index(topic), pl.Int8),
        key=pl.col(topic.key).cast(pl.String).cast(pl.Binary),
        value=value.cast(pl.Binary),
        timestamp_ms=pl.col(at).dt.epoch("ms"),
    )


def _with_partitions(events: pl.DataFrame) -> pl.DataFrame:
    """Place each key where every Kafka client places it: murmur2, once for each different key."""
    keys = events.select("key", "topic").unique(maintain_order=True)
    partitions = [(murmur2(key) & 0x7FFF_FFFF) % TOPICS[topic].partitions for key, topic in keys.iter_rows()]
    placed = keys.with_columns(partition=pl.Series(partitions, dtype=pl.Int32))
    return events.join(placed, on=["key", "topic"], how="left", maintain_order="left")


def _disturb(events: pl.DataFrame, disturbance: Disturbance) -> pl.DataFrame:
    """Put duplicates (up to 5,000 events late) and garbage between the events, under the key of an event before."""
    rng = np.random.default_rng([disturbance.seed, 2])
    numbered = events.with_columns(place=pl.Series(np.arange(len(events))))
    late = _draw_places(rng, len(events), disturbance.duplicate_share)
    source = np.maximum(late - rng.integers(1, LONGEST_DELAY_EVENTS, len(late), endpoint=True), 0)
    duplicates = events[source].with_columns(place=pl.Series(late, dtype=pl.Int64))
    broken = _draw_places(rng, len(events), disturbance.garbage_share)
    garbage = numbered[broken].with_columns(value=pl.Series(_garbage(rng, numbered["value"][broken]), dtype=pl.Binary))
    disturbed: pl.DataFrame = pl.concat([numbered, duplicates, garbage])
    return disturbed.sort("place", maintain_order=True).drop("place")


def _draw_places(rng: np.random.Generator, events: int, share: float) -> NDArray[np.int64]:
    return np.sort(rng.choice(events, round(events * share), replace=False)).astype(np.int64)


def _garbage(rng: np.random.Generator, values: pl.Series) -> list[bytes]:
    """What no decoder can take: torn JSON, bytes that are not text, another schema, an id that is null."""
    kinds = rng.integers(0, 4, len(values))
    return [
        (value[: len(value) // 2], b"\xff\xfe" + value, b'{"hello":"world"}', value.replace(b":", b':null,"was":', 1))[
            kind
        ]
        for kind, value in zip(kinds, values, strict=True)
    ]
