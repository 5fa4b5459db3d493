"""How far the landing is: pure, from the logs and the ledger."""

import dataclasses
from collections.abc import Iterable, Sequence

from koboshi.ingest.source import PartitionLog
from koboshi.refs import SpanRange, SpanRef


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition: offsets up to which it is committed, planned and there; `lag_records` is what is not landed."""

    topic: str
    partition: int
    committed_end: int
    planned_end: int
    log_end: int
    lag_records: int
    files: int
    records: int


def partition_statuses(
    logs: Iterable[PartitionLog], committed: Sequence[SpanRef], planned: Sequence[SpanRange]
) -> list[PartitionStatus]:
    """One row for each log; the spans are those of the logs' topic."""
    return [
        _status(
            log,
            [span for span in committed if span.range.partition == log.partition],
            [span for span in planned if span.partition == log.partition],
        )
        for log in logs
    ]


def _status(log: PartitionLog, committed: list[SpanRef], planned: list[SpanRange]) -> PartitionStatus:
    landed = max((span.range.end for span in committed), default=log.start)
    return PartitionStatus(
        topic=log.topic,
        partition=log.partition,
        committed_end=landed,
        planned_end=max((span.end for span in planned), default=landed),
        log_end=log.end,
        lag_records=max(0, log.end - landed),
        files=len(committed),
        records=sum(span.records for span in committed),
    )
