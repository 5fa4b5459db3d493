"""Which rows train a candidate and which judge it: a week each, and a week between them in which labels arrive."""

import datetime
from pathlib import Path

import polars as pl
from pydantic import Field

from koboshi import Params, write_table
from pipelines.columns import LABEL


class Split(Params):
    """The block `split` of params.yaml; days run from midnight to midnight."""

    start: datetime.date
    train_days: int = Field(ge=1)
    delay_days: int = Field(ge=0)
    test_days: int = Field(ge=1)

    @property
    def test_start(self) -> datetime.date:
        """The first day of the test week."""
        return self.start + datetime.timedelta(days=self.train_days + self.delay_days)


def write_weeks(table: pl.DataFrame, split: Split, out: Path) -> None:
    """The rows to learn from, to watch and to judge by, each a file of its own.

    Nobody learns from the week of delay or is judged by it, so it may be watched; where there is none, progress is
    watched on the rows learnt from.
    """
    later = split.start + datetime.timedelta(days=split.train_days)
    learn, delay = training_rows(table, split), _days(table, later, split.delay_days)
    write_table(learn, out / "learn.parquet")
    write_table(delay if split.delay_days else learn, out / "watch.parquet")
    write_table(test_rows(table, split), out / "judge.parquet")


def training_rows(table: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The rows of the training week, in the table's order."""
    return _days(table, split.start, split.train_days)


def test_rows(table: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The rows of the test week that a candidate is judged by, in the table's order.

    Each day leaves out the customers that are known by then: those with a fraud since the training began, up to the
    day before the labels' delay. As the published code has it, that is the training week for the first test day, and
    one day more for each day after it.
    """
    frauds = table.filter(pl.col(LABEL) == 1)
    days = [_unknown(table, frauds, split, number) for number in range(split.test_days)]
    return pl.concat(days, rechunk=True)


def _unknown(table: pl.DataFrame, frauds: pl.DataFrame, split: Split, number: int) -> pl.DataFrame:
    known = _days(frauds, split.start, split.train_days + number).select("customer_id").unique()
    day = _days(table, split.test_start + datetime.timedelta(days=number), 1)
    return day.join(known, on="customer_id", how="anti", maintain_order="left")


def _days(table: pl.DataFrame, first: datetime.date, days: int) -> pl.DataFrame:
    start = datetime.datetime.combine(first, datetime.time())
    end = start + datetime.timedelta(days=days)
    return table.filter(pl.col("tx_datetime").is_between(start, end, closed="left"))
