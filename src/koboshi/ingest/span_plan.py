"""Deciding what to land: pure, from what the ledger has and what the log holds."""

from itertools import pairwise

from koboshi.errors import Conflict
from koboshi.ingest.source import PartitionLog
from koboshi.refs import SpanRange


def plan_spans(log: PartitionLog, last: SpanRange | None, span_records: int) -> list[SpanRange]:
    """The ranges still to be planned: they tile from the end of the last planned one to the end of the log (I1).

    `last` is the newest planned or committed range of this partition. None is longer than `span_records` offsets.
    Raises `Conflict` when the log cannot follow on what was planned before.
    """
    if last is not None:
        _check_follows(log, last)
    start = log.start if last is None else last.end
    edges = [*range(start, log.end, span_records), log.end]
    return [SpanRange(log.topic, log.topic_id, log.partition, begin, end) for begin, end in pairwise(edges)]


def check_readable(span: SpanRange, log: PartitionLog) -> None:
    """Raise `Conflict` unless all of a planned range can be read from this log."""
    _check_same_topic(span, log)
    if span.start < log.start:
        raise Conflict(
            f"{_named(log)}: offsets {span.start} to {min(span.end, log.start) - 1} were deleted before they were "
            "landed: give the topic a longer retention, and land it under a new name."
        )
    if span.end > log.end:
        raise Conflict(_truncated(log, span.end))


def _check_follows(log: PartitionLog, last: SpanRange) -> None:
    _check_same_topic(last, log)
    if log.end < last.end:
        raise Conflict(_truncated(log, last.end))
    if log.start > last.end:
        raise Conflict(
            f"{_named(log)}: offsets {last.end} to {log.start - 1} were deleted before they were landed: give the "
            "topic a longer retention, and land it under a new name."
        )


def _check_same_topic(span: SpanRange, log: PartitionLog) -> None:
    if span.topic_id != log.topic_id:
        raise Conflict(f"topic {log.topic} was deleted and made again since its last landing: give it a new name.")


def _truncated(log: PartitionLog, end: int) -> str:
    return (
        f"{_named(log)} ends at {log.end}, but {end} was its end before: the broker lost records; restore it, or land "
        "the topic under a new name."
    )


def _named(log: PartitionLog) -> str:
    return f"partition {log.partition} of {log.topic}"
