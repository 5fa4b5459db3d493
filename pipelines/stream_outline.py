"""What a stream would send: its records by topic, and from when to when they go."""

from collections.abc import Iterator

import polars as pl

from pipelines.stream_events import Stream
from pipelines.topics import TOPICS


def outline(stream: Stream, prefix: str, limit: int | None) -> str:
    """A line for each topic, below one for the whole; Kafka may have some of these records already."""
    events = stream.events if limit is None else stream.events.head(limit)
    return "\n".join(_lines(stream, events, prefix))


def _lines(stream: Stream, events: pl.DataFrame, prefix: str) -> Iterator[str]:
    of_all = "" if len(events) == len(stream.events) else f" (of {len(stream.events):,})"
    yield f"would send {len(events):,} records{of_all} of stream {stream.name}; nothing was sent, Kafka was not asked."
    width = max(len(prefix + topic.name) for topic in TOPICS)
    for number, topic in enumerate(TOPICS):
        times = events.filter(pl.col("topic") == number)["timestamp_ms"].cast(pl.Datetime("ms"))
        span = "" if times.is_empty() else f", {times.min()!s} to {times.max()!s}"
        yield f"  {prefix + topic.name:<{width}}  {len(times):>11,} records{span}"
