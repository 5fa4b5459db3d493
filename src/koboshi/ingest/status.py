"""How far the landing is: pure, from the logs and the ledger."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from koboshi.ingest.source import OpenTransaction, PartitionLog
from koboshi.refs import Beginning, SpanRange, SpanRef


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
