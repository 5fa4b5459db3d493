"""Where a stream's transactions come from: the simulator, or a file of somebody's own."""

import datetime
from pathlib import Path

import polars as pl
from pydantic import Field

from koboshi.datasets.params import Params
from koboshi.errors import BadInput
from koboshi.files import sha256_of
from pipelines.simulator import Simulation, simulate
from pipelines.stream_events import Disturbance, Stream, as_stream, stream_name, with_reports

COLUMNS: dict[str, pl.DataType] = {
    "transaction_id": pl.Int64(),
    "tx_datetime": pl.Datetime("ms"),
    "customer_id": pl.Int64(),
    "terminal_id": pl.Int64(),
    "amount": pl.Float64(),
    "is_fraud": pl.Boolean(),
}


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
    return as_stream(name, wanted, disturbance)


def replayed(path: Path, seed: int, duplicate_share: float = 0.0, garbage_share: float = 0.0) -> Stream:
    """The transactions of a Parquet or CSV file with the columns `COLUMNS`; `amount` is in units of 100 cents."""
    rows = with_reports(read_transactions(path), seed)
    name = stream_name(file=sha256_of(path), seed=seed, duplicates=duplicate_share, garbage=garbage_share)
    return as_stream(name, rows, Disturbance(seed, duplicate_share, garbage_share))


def read_transactions(path: Path) -> pl.DataFrame:
    """Read and check a file; raises `BadInput` that names the column that does not fit."""
    raw = _read(path)
    missing = [column for column in COLUMNS if column not in raw.columns]
    if missing:
        raise BadInput(f"{path} has no column {missing[0]}: it needs {', '.join(COLUMNS)}.")
    rows = pl.DataFrame([_converted(path, raw[column]) for column in COLUMNS])
    if rows["transaction_id"].is_duplicated().any():
        raise BadInput(f"{path}: column transaction_id has the same id twice: each transaction needs its own.")
    cents = (pl.col("amount") * 100).round().cast(pl.Int64)
    return rows.with_columns(amount_cents=cents).drop("amount").sort("tx_datetime", "transaction_id")


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv":
            return pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInput(f"{path} cannot be read: {str(error).splitlines()[0]}.") from None
    raise BadInput(f"{path}: only .parquet and .csv files can be replayed.")


def _converted(path: Path, column: pl.Series) -> pl.Series:
    """A column in its type, times to the second; raises `BadInput` for a value that is missing or does not fit."""
    wanted = COLUMNS[column.name]
    converted = _parsed(column, wanted)
    valid = converted.is_not_null()
    if wanted == pl.Float64:
        valid &= converted.is_finite() & (converted >= 0)
    bad = column.filter(~valid.fill_null(value=False))
    if len(bad):
        raise BadInput(f"{path}: column {column.name} has {len(bad)} values that are not {wanted}, first {bad[0]!r}.")
    return converted.dt.truncate("1s") if wanted == pl.Datetime("ms") else converted


def _parsed(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    if column.dtype == pl.String and wanted == pl.Datetime("ms"):
        return column.str.to_datetime(time_unit="ms", strict=False)
    if column.dtype == pl.String and wanted == pl.Boolean:
        truth = {"true": True, "1": True, "false": False, "0": False}
        return column.str.to_lowercase().replace_strict(truth, default=None, return_dtype=pl.Boolean)
    return column.cast(wanted, strict=False)
