"""`koboshi stream simulate | replay FILE`: the card-fraud stream into Kafka."""

import dataclasses
import datetime
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polars import DataFrame

    from pipelines.kafka_stream import KafkaStream
    from pipelines.stream_events import Stream

app = typer.Typer(
    no_args_is_help=True,
    help="Send card transactions and fraud reports to Kafka; an interrupted run goes on where it stopped.",
)


def _topic_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", prefix):
        raise typer.BadParameter(f"{prefix!r}: a topic's name has letters, digits, '.', '_' and '-', 249 at most.")
    return prefix


def _date_format(form: str | None) -> str | None:
    from koboshi.datasets.table_columns import Timestamp
    from koboshi.errors import BadInput

    try:
        return Timestamp(form).form
    except BadInput as error:
        raise typer.BadParameter(str(error)) from None


Rate = Annotated[float | None, typer.Option(min=0.001, max=1e9, help="At most so many records a second.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Send only so many records, the first ones of the stream.")]
Duplicates = Annotated[float, typer.Option(min=0, max=1, help="Share of events that are sent a second time, later.")]
Garbage = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of records that cannot be decoded, relative to the events."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Random seed.  [default: as in params.yaml]")]
Prefix = Annotated[
    str, typer.Option(callback=_topic_prefix, help="Prefix of the topics' names, to keep a trial apart.")
]
First = Annotated[datetime.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day to send.")]
Last = Annotated[datetime.datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day to send.")]
File = Annotated[Path, typer.Argument(help="A .parquet or .csv file.", show_default=False)]
DateFormat = Annotated[
    str | None,
    typer.Option(callback=_date_format, help="Format of tx_datetime, such as '%d.%m.%Y %H:%M'.  [default: ISO 8601]"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be sent; Kafka is not asked, nothing is sent.")
]


@dataclasses.dataclass(frozen=True, slots=True)
class Sending:
    """How a stream is sent."""

    prefix: str
    limit: int | None
    rate: float | None
    dry_run: bool


@app.command()
def simulate(
    seed: Seed = None,
    first: First = None,
    last: Last = None,
    rate: Rate = None,
    limit: Limit = None,
    duplicate_share: Duplicates = 0.0,
    garbage_share: Garbage = 0.0,
    topic_prefix: Prefix = "",
    dry_run: DryRun = False,
) -> None:
    """Send the published card-fraud simulation.

    What is not given is read from params.yaml (block `stream`). The same options give the same records at the same
    offsets, in every clone; interrupted and called again, it goes on where it was.
    """
    from koboshi.datasets.params import load_params
    from koboshi.settings import find_project
    from pipelines.stream_sources import StreamParams, simulated

    given = {"seed": seed, "first": first and first.date(), "last": last and last.date()}
    params = load_params(find_project(), "stream", StreamParams)
    params = params.model_copy(update={name: value for name, value in given.items() if value is not None})
    sending = Sending(topic_prefix, limit, rate, dry_run)
    _run(lambda: simulated(params, duplicate_share, garbage_share), sending)


@app.command()
def replay(
    file: File,
    date_format: DateFormat = None,
    seed: Seed = None,
    rate: Rate = None,
    limit: Limit = None,
    duplicate_share: Duplicates = 0.0,
    garbage_share: Garbage = 0.0,
    topic_prefix: Prefix = "",
    dry_run: DryRun = False,
) -> None:
    """Send the transactions of a file.

    Columns: transaction_id, tx_datetime, customer_id, terminal_id, amount, is_fraud, or their published names
    (TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT, TX_FRAUD); others are ignored. A fraudulent
    transaction is reported 1 to 7 days after it, drawn from the seed. A file with anything that does not fit is
    refused, with every reason, before anything is sent.
    """
    from koboshi.datasets.params import load_params
    from koboshi.settings import find_project
    from pipelines.stream_sources import StreamParams, replayed

    chosen = load_params(find_project(), "stream", StreamParams).seed if seed is None else seed
    sending = Sending(topic_prefix, limit, rate, dry_run)
    _run(lambda: replayed(file, chosen, duplicate_share, garbage_share, date_format), sending)


def _run(prepare: "Callable[[], Stream]", sending: Sending) -> None:
    """Make the stream; say what would be sent, or send what Kafka has not."""
    if sending.dry_run:
        from pipelines.stream_outline import outline

        typer.echo(outline(prepare(), sending.prefix, sending.limit))
    else:
        _send_rest(prepare, sending)


def _send_rest(prepare: "Callable[[], Stream]", sending: Sending) -> None:
    from koboshi.settings import load_settings, required
    from pipelines.kafka_stream import KafkaStream, only_stream

    settings = load_settings()
    servers = required(settings.kafka.bootstrap_servers, "Kafka")
    with only_stream(settings.state_dir):
        stream = prepare()
        limit = sending.limit
        wanted = len(stream.events) if limit is None else min(limit, len(stream.events))
        kafka = KafkaStream(servers, stream, sending.prefix)
        missing = kafka.remaining()
        missing = missing.filter(missing["seq"] < wanted)
        if missing.is_empty():
            typer.echo(f"nothing to send: all {wanted:,} records are in Kafka already.")
            return
        if len(missing) < wanted:
            typer.echo(f"going on: {wanted - len(missing):,} of {wanted:,} records are in Kafka already.")
        began = time.monotonic()
        _send(kafka, missing, sending.rate)
        took = time.monotonic() - began
    speed = f"{took:.1f} s ({len(missing) / took:,.0f}/s)"
    typer.echo(f"sent {len(missing):,} records in {speed}: {_described(missing, kafka.topics)}.")


def _send(kafka: "KafkaStream", missing: "DataFrame", rate: float | None) -> None:
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


def _described(events: "DataFrame", topics: list[str]) -> str:
    counts = dict(events["topic"].value_counts().iter_rows())
    return ", ".join(f"{counts.get(number, 0):,} in {topic}" for number, topic in enumerate(topics))
