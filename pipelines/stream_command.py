"""`koboshi stream simulate | replay FILE`: the card-fraud stream into Kafka."""

import datetime
import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Send card transactions and fraud reports to Kafka; an interrupted run goes on where it stopped.",
)


def _topic_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", prefix):
        raise typer.BadParameter(f"{prefix!r}: a topic's name has letters, digits, '.', '_' and '-', 249 at most.")
    return prefix


def _date_format(form: str | None) -> str | None:
    from koboshi import BadInput
    from koboshi.streams import Timestamp

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
Seed = Annotated[int | None, typer.Option(min=0, help="Random seed.", show_default="as in params.yaml")]
Prefix = Annotated[
    str, typer.Option(callback=_topic_prefix, help="Prefix of the topics' names, to keep a trial apart.")
]
First = Annotated[datetime.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day to send.")]
Last = Annotated[datetime.datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day to send.")]
File = Annotated[Path, typer.Argument(help="A .parquet or .csv file.", show_default=False)]
DateFormat = Annotated[
    str | None,
    typer.Option(
        callback=_date_format, help="Format of tx_datetime, such as '%d.%m.%Y %H:%M'.", show_default="ISO 8601"
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be sent; Kafka is not asked, nothing is sent.")
]


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
    from koboshi.streams import send
    from pipelines.card_fraud import project
    from pipelines.stream_sources import StreamParams, simulated

    given = {"seed": seed, "first": first and first.date(), "last": last and last.date()}
    params = project.params("stream", StreamParams)
    params = params.model_copy(update={name: value for name, value in given.items() if value is not None})
    stream = partial(simulated, params, duplicate_share, garbage_share)
    send(stream, prefix=topic_prefix, limit=limit, rate=rate, dry_run=dry_run)


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
    from koboshi.streams import send
    from pipelines.card_fraud import project
    from pipelines.stream_sources import StreamParams, replayed

    chosen = project.params("stream", StreamParams).seed if seed is None else seed
    stream = partial(replayed, file, chosen, duplicate_share, garbage_share, date_format)
    send(stream, prefix=topic_prefix, limit=limit, rate=rate, dry_run=dry_run)
