"""Verbs of the ingest: run, status, audit, repair."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koboshi.errors import Corrupt
from koboshi.settings import load_settings, required

if TYPE_CHECKING:
    from rich.table import Table

    from koboshi.ingest.audit import PartitionVerdict
    from koboshi.ingest.landing import Lander
    from koboshi.ingest.source import OpenTransaction, PartitionLog, Source
    from koboshi.refs import SpanRef

app = typer.Typer(no_args_is_help=True, help="Land the stream as committed spans, and audit them against the broker.")

Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="A topic to work on (repeatable).  [default: koboshi.toml]")
]
SpanRecords = Annotated[int | None, typer.Option(min=1, help="Records of a span, at most.  [default: koboshi.toml]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RARE = {"held_back_records", "gone_before_landing", "no_longer_on_broker", "offset", "detail"}


@app.command()
def run(topic: Topics = None, span_records: SpanRecords = None) -> None:
    """Land all records that the topics hold now. Safe to run again, twice at once, and after any crash."""
    from koboshi.ingest.source import held_back, open_transactions

    began, held = time.monotonic(), list["PartitionLog"]()
    with closing(_source()) as source:
        lander = _lander(source, span_records, held.append)
        done = [span for name in _topics(topic) for span in lander.land_topic(name)]
        transactions = open_transactions(source, held)
    records, took = sum(span.records for span in done), time.monotonic() - began
    typer.echo(
        f"landed {records:,} records in {len(done)} spans, {took:.1f} s ({records / took:,.0f}/s)."
        if done
        else "nothing new to land."
    )
    for log in held:
        typer.echo(held_back(log, transactions))


@app.command()
def status(topic: Topics = None, as_json: Json = False) -> None:
    """Show for each partition how far it is planned and landed, how much waits, and what holds records back."""
    from koboshi.ingest.source import held_back, open_transactions

    with closing(_source()) as source:
        logs = [log for name in _topics(topic) for log in source.logs(name)]
        transactions = open_transactions(source, logs)
    rows = _statuses(logs)
    if as_json:
        # `log_end` is what `last_stable_offset` was called before: for one more version.
        typer.echo(
            json.dumps(
                [{**row, "log_end": row["last_stable_offset"], **_held(row, transactions)} for row in rows], indent=2
            )
        )
        return
    _print(rows, as_json)
    for log in logs:
        if log.held_back:
            typer.echo(held_back(log, transactions))


def _statuses(logs: "Sequence[PartitionLog]") -> list[dict[str, Any]]:
    from koboshi.ingest.source import partition_statuses
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.ledger import spans

    settings = load_settings()
    ledger = open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics)
    return [
        dataclasses.asdict(row)
        for name, ours in groupby(logs, key=lambda log: log.topic)
        for row in partition_statuses(
            ours, spans.committed(ledger, name), spans.planned(ledger, name), spans.beginnings(ledger, name)
        )
    ]


def _held(row: Mapping[str, Any], transactions: "Sequence[OpenTransaction]") -> dict[str, Any]:
    here = (row["topic"], row["partition"])
    return {
        "open_transactions": [dataclasses.asdict(one) for one in transactions if (one.topic, one.partition) == here]
    }


@app.command()
def audit(topic: Topics = None, as_json: Json = False) -> None:
    """Read the broker again with another client, and compare it with the landed spans record by record.

    Exit 0 when nothing differs; 65 when a record or a file does.
    """
    from koboshi.ingest.audit import audit_topic
    from koboshi.ingest.confluent_audit import ConfluentBroker
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.ledger import spans

    settings = load_settings()
    ledger = open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics)
    with closing(ConfluentBroker(required(settings.kafka.bootstrap_servers, "Kafka"))) as broker:
        verdicts = [
            verdict
            for name in _topics(topic)
            for verdict in audit_topic(
                broker, settings.state_dir, spans.committed(ledger, name), spans.beginnings(ledger, name)
            )
        ]
    _print([dataclasses.asdict(verdict) for verdict in verdicts], as_json)
    _refuse_differences(verdicts)


@app.command()
def repair(topic: Topics = None) -> None:
    """Read committed spans whose files are lost or changed from the broker again; they must come out the same."""
    from koboshi.ingest.landing import repair_topic

    with closing(_source()) as source:
        lander = _lander(source)
        mended = [span for name in _topics(topic) for span in _told(repair_topic(lander, name), "put back")]
    typer.echo("Now every landed span is as committed." if mended else "Every landed span is as committed.")


def _source() -> "Source":
    from koboshi.ingest.source import open_source

    return open_source(required(load_settings().kafka.bootstrap_servers, "Kafka"))


def _lander(
    source: "Source",
    span_records: int | None = None,
    held_back: "Callable[[PartitionLog], None]" = lambda _log: None,
) -> "Lander":
    from koboshi.ingest.landing import Lander
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.ledger import leases
    from koboshi.sinks.terminal import to_terminal

    settings = load_settings()
    return Lander(
        ledger=open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics),
        source=source,
        state_dir=settings.state_dir,
        holder=leases.this_process(),
        span_records=span_records or settings.ingest.span_records,
        lease_s=settings.ingest.lease_s,
        emit=to_terminal,
        held_back=held_back,
    )


def _topics(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ()) or load_settings().ingest.topics


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
    """One row for each partition, with a column for each other field, those of RARE only where there is something.

    Without a frame, so that it fits into 80 columns.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("partition")
    fields = [key for key in rows[0] if key not in ("topic", "partition")]
    keys = [key for key in fields if key not in RARE or any(row[key] for row in rows)]
    for key in keys:
        number = any(isinstance(row[key], int) for row in rows)
        table.add_column(key.replace("_", " "), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(f"{row['topic']}/{row['partition']}", *(Text(_cell(row[key])) for key in keys))
    return table


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _refuse_differences(verdicts: "list[PartitionVerdict]") -> None:
    for verdict in verdicts:
        if not verdict.stands:
            found = verdict.outcome + ("" if verdict.offset is None else f" at offset {verdict.offset}")
            raise Corrupt(f"{verdict.topic}/{verdict.partition} is {found}: {verdict.detail.rstrip('.')}.")
