"""Where a stream's transactions come from: the simulator, or a file of somebody's own."""

import datetime
import hashlib
from pathlib import Path

import polars as pl
from pydantic import Field

from koboshi import BadInput, Params
from koboshi.streams import Column, Label, Number, Stream, Timestamp, read_table
from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import REPORTED_AFTER_DAYS, Disturbance, as_stream, stream_name, with_reports

REPORTED = "{} to {} days after".format(*REPORTED_AFTER_DAYS)
REFUSED_LATER = "an hour from now, in UTC: Kafka refuses records that lie further ahead"


class StreamParams(Params):
    """The block `stream` of params.yaml: what is simulated, and which days of it are sent (both ends included)."""

    seed: int = Field(default=0, ge=0)
    days: int = Field(default=183, ge=1)
    first: datetime.date = Field(default=datetime.date(2018, 6, 18), alias="from")
    last: datetime.date = Field(default=datetime.date(2018, 8, 14), alias="to")


def simulated(params: StreamParams, duplicate_share: float = 0.0, garbage_share: float = 0.0) -> Stream:
    """The days `first` to `last` of the simulation, and every report of their transactions, however late."""
    transactions = with_reports(simulate(Simulation(seed=params.seed, days=params.days)), params.seed)
    wanted = transactions.filter(pl.col("tx_datetime").dt.date().is_between(params.first, params.last))
    if wanted.is_empty():
        raise BadInput(
            f"no transactions from {params.first} to {params.last}: the simulation has {params.days} days "
            f"from {Simulation().first_day} on."
        )
    disturbance = Disturbance(params.seed, duplicate_share, garbage_share)
    name = stream_name(simulation=params.model_dump(), duplicates=duplicate_share, garbage=garbage_share)
    check_not_ahead(wanted)
    return as_stream(name, wanted, disturbance)


def check_not_ahead(transactions: pl.DataFrame) -> None:
    """Raise `BadInput` where a broker would refuse a transaction or its report because its time has not come."""
    last = transactions.select(pl.max_horizontal(pl.max("tx_datetime", "reported_at"))).item()
    if last > (latest := _latest_time()):
        raise BadInput(f"the simulation reaches to {last}, and may reach to {latest}, {REFUSED_LATER}: mend --to.")


def replayed(
    path: Path, seed: int, duplicate_share: float = 0.0, garbage_share: float = 0.0, date_format: str | None = None
) -> Stream:
    """The transactions of a CSV or Parquet file with `columns`; raises `BadInput` with all that does not fit.

    The name follows from the file's bytes, and from the form of its dates where that is not ISO 8601.
    """
    table = read_table(path, columns(latest := _latest_time(), date_format))
    rows = table.rows.rename({"amount": "amount_cents"}).with_row_index("row")
    rows = with_reports(rows.sort("tx_datetime", "transaction_id"), seed)
    reported_at = rows.sort("row")["reported_at"]
    expected = f"a report, {REPORTED} its transaction, up to {latest}, {REFUSED_LATER}"
    table.check("is_fraud", (reported_at > latest).fill_null(value=False), expected, reported_at)
    form = {} if date_format is None else {"date_format": date_format}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = stream_name(file=digest, seed=seed, duplicates=duplicate_share, garbage=garbage_share, **form)
    return as_stream(name, rows, Disturbance(seed, duplicate_share, garbage_share))


def columns(latest: datetime.datetime, date_format: str | None = None) -> list[Column]:
    """What a file needs, under our names or the published ones; the bounds are those of Kafka and of the decoder."""
    time = Timestamp(
        form=date_format,
        earliest=datetime.datetime(1970, 1, 1),
        latest=latest,
        cut_to_us=1_000_000,
        hint=" (ISO 8601), or another form with --date-format",
        because=f", {REFUSED_LATER}",
    )
    return [
        Column("transaction_id", Number(), unique=True),
        Column("tx_datetime", time),
        Column("customer_id", Number()),
        Column("terminal_id", Number()),
        Column("amount", Number(places=2, smallest=0), aliases=("tx_amount",)),
        Column("is_fraud", Label(), aliases=("tx_fraud",)),
    ]


def _latest_time() -> datetime.datetime:
    """The last time that a broker takes by default (`message.timestamp.after.max.ms`), in UTC."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=1)
