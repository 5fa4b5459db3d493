"""For a project that sends a stream of its own: events, made of a simulation or of a file, into Kafka once each.

    from koboshi.streams import Stream, send

    send(lambda: Stream(name, events, {"orders": 4}))

An interrupted run goes on where it stopped; what is in Kafka already is not sent again.
"""

import time
from collections.abc import Callable, Iterator

import polars as pl

from koboshi.datasets.polars_files import read_table
from koboshi.datasets.table_columns import Column, Label, Number, Timestamp
from koboshi.project.kafka_stream import KafkaStream, Stream, only_stream
from koboshi.rich_tables import console
from koboshi.settings import load_settings, required

__all__ = ["Column", "Label", "Number", "Stream", "Timestamp", "read_table", "send"]


def send(
    prepare: Callable[[], Stream],
    *,
    prefix: str = "",
    limit: int | None = None,
    rate: float | None = None,
    dry_run: bool = False,
) -> None:
    """Send what Kafka has not yet, at most `rate` records a second and `limit` in all; say what was sent.

    With `dry_run` only say what would be sent. Key and commit are those of `koboshi.project.kafka_stream`. Raises
    `LeaseTaken` while another stream of the project is sent, `BadInput` where a topic holds something else.
    """
    if dry_run:
        _say(outline(prepare(), prefix, limit))
        return
    settings = load_settings()
    servers = required(settings.kafka.bootstrap_servers, "Kafka")
    with only_stream(settings.state_dir):
        stream = prepare()
        wanted = len(stream.events) if limit is None else min(limit, len(stream.events))
        kafka = KafkaStream(servers, stream, prefix)
        missing = kafka.remaining()
        _send_missing(kafka, missing.filter(missing["seq"] < wanted), wanted, rate)


def outline(stream: Stream, prefix: str, limit: int | None) -> str:
    """What would be sent: a line for each topic, below one for the whole; Kafka may have some of these already."""
    events = stream.events if limit is None else stream.events.head(limit)
    return "\n".join(_lines(stream, events, prefix))


def _lines(stream: Stream, events: pl.DataFrame, prefix: str) -> Iterator[str]:
    of_all = "" if len(events) == len(stream.events) else f" (of {len(stream.events):,})"
    yield f"would send {len(events):,} records{of_all} of stream {stream.name}; nothing was sent, Kafka was not asked."
    width = max(len(prefix + topic) for topic in stream.topics)
    for number, topic in enumerate(stream.topics):
        times = events.filter(pl.col("topic") == number)["timestamp_ms"].cast(pl.Datetime("ms"))
        span = "" if times.is_empty() else f", {times.min()!s} to {times.max()!s}"
        yield f"  {prefix + topic:<{width}}  {len(times):>11,} records{span}"


def _send_missing(kafka: KafkaStream, missing: pl.DataFrame, wanted: int, rate: float | None) -> None:
    if missing.is_empty():
        _say(f"nothing to send: all {wanted:,} records are in Kafka already.")
        return
    if len(missing) < wanted:
        _say(f"going on: {wanted - len(missing):,} of {wanted:,} records are in Kafka already.")
    began = time.monotonic()
    _send(kafka, missing, rate)
    took = time.monotonic() - began
    counts = dict(missing["topic"].value_counts().iter_rows())
    sent = ", ".join(f"{counts.get(number, 0):,} in {topic}" for number, topic in enumerate(kafka.topics))
    _say(f"sent {len(missing):,} records in {took:.1f} s ({len(missing) / took:,.0f}/s): {sent}.")


def _send(kafka: KafkaStream, missing: pl.DataFrame, rate: float | None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began = time.monotonic()
    speed = TextColumn("{task.fields[speed]:,.0f} records/s")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("streaming", total=len(missing), speed=0.0)

        def sent(records: int) -> None:
            done = progress.tasks[task].completed + records
            progress.update(task, advance=records, speed=done / (time.monotonic() - began))

        kafka.send(missing, rate, sent)


def _say(line: str) -> None:
    console().print(line, markup=False, highlight=False, soft_wrap=True)
