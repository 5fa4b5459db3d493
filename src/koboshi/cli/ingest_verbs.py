"""Verbs of the ingest: run, status, audit, repair."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koboshi.cli.output import AsJson, events_of, lines_of, print_json
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
    list[str] | None, typer.Option("--topic", help="A topic to work on (repeatable).", show_default="koboshi.toml")
]
SpanRecords = Annotated[
    int | None, typer.Option(min=1, help="Records of a span, at most.", show_default="koboshi.toml")
]

RARE = {"held_back_records", "gone_before_landing", "no_longer_on_broker", "offset", "detail"}


@app.command()
def run(topic: Topics = None, span_records: SpanRecords = None, as_json: AsJson = False) -> None:
    """Land all records that the topics hold now. Safe to run again, twice at once, and after any crash.

    Example: koboshi ingest run --topic orders
    """
    from koboshi.ingest.source import held_back, open_transactions

    began, held = time.monotonic(), list["PartitionLog"]()
    with closing(_source()) as source:
        lander = _lander(source, span_records, held.append, as_json=as_json)
        done = [span for name in _topics(topic) for span in lander.land_topic(name)]
        transactions = open_transactions(source, held)
    records, took = sum(span.records for span in done), time.monotonic() - began
    if as_json:
        back = [{**dataclasses.asdict(log), **_held(dataclasses.asdict(log), transactions)} for log in held]
        print_json({"records": records, "took_s": took, "spans": [s.as_json() for s in done], "held_back": back})
        return
    typer.echo(
        f"landed {records:,} records in {len(done)} spans, {took:.1f} s ({records / took:,.0f}/s)."
        if done
        else "nothing new to land."
    )
    for log in held:
        typer.echo(held_back(log, transactions))


@app.command()
def status(topic: Topics = None, as_json: AsJson = False) -> None:
    """Show for each partition how far it is planned and landed, how much waits, and what holds records back.

    Example: koboshi ingest status --json
    """
    from koboshi.ingest.source import held_back, open_transactions

    with closing(_source()) as source:
        logs = [log for name in _topics(topic) for log in source.logs(name)]
        transactions = open_transactions(source, logs)
    rows = _statuses(logs)
    if as_json:
        # `log_end` is what `last_stable_offset` was called before: for one more version.
        print_json([{**row, "log_end": row["last_stable_offset"], **_held(row, transactions)} for row in rows])
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
def audit(topic: Topics = None, as_json: AsJson = False) -> None:
    """Read the broker again with another client, and compare it with the landed spans record by record.

    Exit 0 when nothing differs; 65 when a record or a file does.

    Example: koboshi ingest audit --topic orders
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
def repair(topic: Topics = None, as_json: AsJson = False) -> None:
    """Read committed spans whose files are lost or changed from the broker again; they must come out the same.

    Example: koboshi ingest repair
    """
    from koboshi.ingest.landing import repair_topic

    with closing(_source()) as source:
        lander, say = _lander(source, as_json=as_json), lines_of(as_json=as_json)
        mended = [span for name in _topics(topic) for span in _told(repair_topic(lander, name), "put back", say)]
    if as_json:
        print_json([span.as_json() for span in mended])
        return
    typer.echo("Now every landed span is as committed." if mended else "Every landed span is as committed.")


def _source() -> "Source":
    from koboshi.ingest.source import open_source

    return open_source(required(load_settings().kafka.bootstrap_servers, "Kafka"))


def _lander(
    source: "Source",
    span_records: int | None = None,
    held_back: "Callable[[PartitionLog], None]" = lambda _log: None,
    *,
    as_json: bool,
) -> "Lander":
    from koboshi.ingest.landing import Lander
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.ledger import leases

    settings = load_settings()
    return Lander(
        ledger=open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics),
        source=source,
        state_dir=settings.state_dir,
        holder=leases.this_process(),
        span_records=span_records or settings.ingest.span_records,
        lease_s=settings.ingest.lease_s,
        emit=events_of(as_json=as_json),
        held_back=held_back,
    )


def _topics(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ()) or load_settings().ingest.topics


def _told(spans: "Iterator[SpanRef]", what: str, say: "Callable[[str], None]") -> "Iterator[SpanRef]":
    for span in spans:
        say(f"{what} {_named(span)}: {span.path}")
        yield span


def _named(span: "SpanRef") -> str:
    return f"{span.range.topic}/{span.range.partition} [{span.range.start:,}, {span.range.end:,})"


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows as JSON, or as a table with a line for each partition."""
    if as_json:
        print_json(rows)
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
