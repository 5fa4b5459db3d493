"""Verbs of the ingest: run, status, audit, repair."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koboshi.errors import Corrupt
from koboshi.settings import load_settings, required

if TYPE_CHECKING:
    from rich.table import Table

    from koboshi.ingest.audit import Verdict
    from koboshi.ingest.landing import Lander
    from koboshi.refs import SpanRef

app = typer.Typer(no_args_is_help=True, help="Land the stream as committed spans, and prove that they equal it.")

Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only this one (repeatable).  [default: koboshi.toml]")
]
SpanRecords = Annotated[int | None, typer.Option(min=1, help="The longest span.  [default: koboshi.toml]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(topic: Topics = None, span_records: SpanRecords = None) -> None:
    """Land all that the topics hold at this moment. Safe to run again, twice at once, and after any crash."""
    began = time.monotonic()
    with _lander(span_records) as lander:
        done = [span for name in _topics(topic) for span in lander.land_topic(name)]
    records, took = sum(span.records for span in done), time.monotonic() - began
    typer.echo(
        f"landed {records:,} records in {len(done)} spans, {took:.1f} s ({records / took:,.0f}/s)."
        if done
        else "nothing new to land."
    )


@app.command()
def status(topic: Topics = None, as_json: Json = False) -> None:
    """Show for each partition how far it is planned and landed, and how much is waiting."""
    from koboshi.ingest.status import partition_statuses
    from koboshi.ledger import spans

    with _lander(None) as lander:
        rows = [
            row
            for name in _topics(topic)
            for row in partition_statuses(
                lander.source.logs(name), spans.committed(lander.ledger, name), spans.planned(lander.ledger, name)
            )
        ]
    _print([dataclasses.asdict(row) for row in rows], as_json)


@app.command()
def audit(topic: Topics = None, as_json: Json = False) -> None:
    """Read the broker again with another client, and compare it with the landed spans record by record.

    Exit 0 when nothing differs; 65 when a record or a file does.
    """
    from koboshi.ingest.audit import audit_topic
    from koboshi.ingest.confluent_audit import ConfluentBroker
    from koboshi.ingest.lost_ledger import open_ledger
    from koboshi.ledger import spans

    settings = load_settings()
    ledger = open_ledger(settings.ledger_url, settings.state_dir)
    broker = ConfluentBroker(required(settings.kafka.bootstrap_servers, "Kafka"))
    try:
        verdicts = [
            verdict
            for name in _topics(topic)
            for verdict in audit_topic(broker, settings.state_dir, spans.committed(ledger, name))
        ]
    finally:
        broker.close()
    _print([dataclasses.asdict(verdict) for verdict in verdicts], as_json)
    _refuse_differences(verdicts)


@app.command()
def repair(topic: Topics = None) -> None:
    """Read committed spans whose files are lost or changed from the broker again; they must come out the same."""
    from koboshi.ingest.repair import repair_topic

    with _lander(None) as lander:
        mended = [span for name in _topics(topic) for span in _told(repair_topic(lander, name), "put back")]
    typer.echo("Now every landed span is as committed." if mended else "Every landed span is as committed.")


@contextmanager
def _lander(span_records: int | None) -> "Iterator[Lander]":
    from koboshi.ingest.kafka_source import KafkaSource
    from koboshi.ingest.landing import Lander
    from koboshi.ingest.lost_ledger import open_ledger
    from koboshi.ledger import holders

    settings = load_settings()
    source = KafkaSource(required(settings.kafka.bootstrap_servers, "Kafka"))
    try:
        yield Lander(
            ledger=open_ledger(settings.ledger_url, settings.state_dir),
            source=source,
            state_dir=settings.state_dir,
            holder=holders.this_process(),
            span_records=span_records or settings.ingest.span_records,
            lease_s=settings.ingest.lease_s,
            landed=_tell_landed,
        )
    finally:
        source.close()


def _topics(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ()) or load_settings().ingest.topics


def _tell_landed(span: "SpanRef") -> None:
    typer.echo(f"landed {_named(span)}: {span.records:,} records")


def _told(spans: "Iterator[SpanRef]", what: str) -> "Iterator[SpanRef]":
    for span in spans:
        typer.echo(f"{what} {_named(span)}: {span.path}")
        yield span


def _named(span: "SpanRef") -> str:
    return f"{span.range.topic}/{span.range.partition} [{span.range.start:,}, {span.range.end:,})"


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows as JSON, or as a table with a line for each partition."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        typer.echo("nothing is landed yet: run `koboshi ingest run`.")
        return
    from koboshi.rich_tables import console, fitted

    console().print(fitted(partitions_table(rows)))


def partitions_table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    """One row for each partition, with a column for each other field; without a frame, so that it fits 80 columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("partition")
    keys = [key for key in rows[0] if key not in ("topic", "partition")]
    for key in keys:
        number = any(isinstance(row[key], int) for row in rows)
        table.add_column(key.replace("_", " "), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(f"{row['topic']}/{row['partition']}", *(Text(_cell(row[key])) for key in keys))
    return table


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _refuse_differences(verdicts: "list[Verdict]") -> None:
    for verdict in verdicts:
        if not verdict.stands:
            where = "" if verdict.offset is None else f" at offset {verdict.offset}"
            what = f"{verdict.topic}/{verdict.partition} is {verdict.outcome}{where}"
            raise Corrupt(f"{what}: {verdict.detail.rstrip('.') or 'the broker holds something else there'}.")
