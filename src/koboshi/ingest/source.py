"""What the lander asks of a stream: its logs, its identity, the records of a range; where sources are found.

How far the landing is follows, pure, from the logs and the ledger.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from koboshi.formats.records import Records
from koboshi.refs import Beginning, SpanRange, SpanRef

_SOURCE = "_source"
KINDS = tuple(
    found.name.removesuffix(_SOURCE)
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name.endswith(_SOURCE)
)
"""The kinds of stream that there is a `<kind>_source.py` for."""


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionLog:
    """What can be read of a partition just now: offsets [start, end), up to the last stable one.

    `held_back` is how many offsets there are behind `end`, up to the high watermark: an open transaction holds them
    back from every reader of committed records.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    held_back: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that was neither committed nor aborted yet, with records in a partition from `first_offset` on.

    `transactional_id` is empty where the cluster does not tell it; `last_at_ms` is the time of its last record.
    """

    topic: str
    partition: int
    first_offset: int
    producer_id: int
    transactional_id: str
    last_at_ms: int


class Source(Protocol):
    """A stream of topics. Offsets may have holes; committed records never change.

    Raises `Unavailable` when it does not answer within a bounded time, `BadInput` for a topic that is not there,
    `Conflict` for offsets that cannot be read any more, `Corrupt` for bytes that are no records, another `Permanent`
    error for what no retry heals.
    """

    def logs(self, topic: str) -> list[PartitionLog]:
        """The logs of a topic, by partition."""

    def topic_id(self, topic: str) -> str:
        """What tells this topic from an earlier or later one of the same name."""

    def read(self, span: SpanRange) -> Iterator[Records]:
        """All committed records with offsets in [start, end), in order, in batches (which may be empty)."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class TellsTransactions(Protocol):
    """A source that also knows whose open transactions hold records back."""

    def open_transactions(self, logs: Iterable[PartitionLog]) -> list[OpenTransaction]:
        """The transactions that hold records of these logs back, by partition and offset."""


def open_source(address: str) -> Source:
    """The source at an address: `<kind>://…` is for `<kind>_source.py`, HOST:PORT or a list of them is Kafka's.

    Raises `NotConfigured` for what is no address, `Unavailable` where nobody answers.
    """
    kind = address.partition("://")[0]
    module = importlib.import_module(f"koboshi.ingest.{kind if kind in KINDS else 'kafka'}_source")
    opened: Source = module.open_source(address)
    return opened


def open_transactions(source: Source, logs: Iterable[PartitionLog]) -> list[OpenTransaction]:
    """The open transactions that hold records of these logs back, as far as the source can tell."""
    return source.open_transactions(logs) if isinstance(source, TellsTransactions) else []


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition: offsets up to which it is committed and planned, and where its log ends.

    `lag_records` can be landed now. `held_back_records` lie between the last stable offset and the high watermark: an
    open transaction holds them back. Offsets below `gone_before_landing` were deleted before the first landing came.
    """

    topic: str
    partition: int
    committed_end: int
    planned_end: int
    last_stable_offset: int
    high_watermark: int
    lag_records: int
    held_back_records: int
    gone_before_landing: int
    files: int
    records: int


def partition_statuses(
    logs: Iterable[PartitionLog],
    committed: Sequence[SpanRef],
    planned: Sequence[SpanRange],
    beginnings: Mapping[int, Beginning],
) -> list[PartitionStatus]:
    """One row for each log; spans are those of the logs' topic, beginnings are by partition."""
    return [
        _status(
            log,
            [span for span in committed if span.range.partition == log.partition],
            [span for span in planned if span.partition == log.partition],
            beginnings.get(log.partition),
        )
        for log in logs
    ]


def held_back(log: PartitionLog, transactions: Iterable[OpenTransaction]) -> str:
    """Which transaction holds back how many records of a log, in a sentence."""
    first = next((one for one in transactions if (one.topic, one.partition) == (log.topic, log.partition)), None)
    whose = "whose producer the cluster does not tell"
    if first is not None:
        named = first.transactional_id or "not told by the cluster"
        whose = f"of producer {first.producer_id} (transactional id {named})"
    return (
        f"{log.topic}/{log.partition}: {log.held_back:,} records from offset {log.end:,} on are held back by an open "
        f"transaction {whose}: they can be landed once it is committed or aborted."
    )


def _status(
    log: PartitionLog, committed: list[SpanRef], planned: list[SpanRange], begun: Beginning | None
) -> PartitionStatus:
    start = begun.start if begun else log.start
    landed = max((span.range.end for span in committed), default=start)
    return PartitionStatus(
        topic=log.topic,
        partition=log.partition,
        committed_end=landed,
        planned_end=max((span.end for span in planned), default=landed),
        last_stable_offset=log.end,
        high_watermark=log.end + log.held_back,
        lag_records=max(0, log.end - landed),
        held_back_records=log.held_back,
        gone_before_landing=start,
        files=len(committed),
        records=sum(span.records for span in committed),
    )
