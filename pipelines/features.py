"""features: snapshot rows to the training table. The same rows give the same bytes.

The published definitions: amount, weekend and night; for the customer the count and mean amount of a window that ends
with the transaction itself; for the terminal the count and share of frauds of a window that ended seven days before,
because labels arrive that late. Whatever is summed is an integer (cents, counts), and division comes last.
"""

import json
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from koboshi import BadInput, Dataset, Params, read_tables
from pipelines.columns import FEATURES, KEYS, LABEL, WINDOW_DAYS
from pipelines.schemas import REPORT_SCHEMA, TRANSACTION_SCHEMA

Ints = NDArray[np.int64]
DAY_US = 24 * 3600 * 1_000_000
_LONGEST_US = 400 * DAY_US


class FeatureParams(Params):
    """The block `features` of params.yaml: what counts as night and weekend, and how late labels are."""

    night_until_hour: int = Field(ge=0, le=23)
    weekend_from_weekday: int = Field(ge=0, le=6)
    label_delay_days: int = Field(ge=0, le=365)


def label(transactions: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """The transactions in order, each with whether a report of it has come."""
    reported = reports.select(KEYS[0]).unique().with_columns(pl.lit(1, pl.Int8).alias(LABEL))
    labelled = transactions.join(reported, on=KEYS[0], how="left").with_columns(pl.col(LABEL).fill_null(0))
    return labelled.sort("tx_datetime", KEYS[0])


def build_features(rows: pl.DataFrame, params: FeatureParams) -> pl.DataFrame:
    """The table of labelled transactions, which are ordered by time and id: KEYS, LABEL, FEATURES."""
    time = rows["tx_datetime"].to_physical().to_numpy()
    columns = _of_transaction(rows, params)
    columns |= _of_customer(rows["customer_id"].to_numpy(), time, rows["amount_cents"].to_numpy())
    columns |= _of_terminal(rows["terminal_id"].to_numpy(), time, rows[LABEL].to_numpy(), params.label_delay_days)
    floats = [pl.Series(name, np.asarray(columns[name], dtype=np.float64)) for name in FEATURES]
    return rows.select(*KEYS, LABEL).with_columns(floats)


def _of_transaction(rows: pl.DataFrame, params: FeatureParams) -> dict[str, Any]:
    when = pl.col("tx_datetime").dt
    flags = rows.select(
        weekend=when.weekday() - 1 >= params.weekend_from_weekday, night=when.hour() <= params.night_until_hour
    )
    return {"amount": rows["amount_cents"].to_numpy() / 100, **{name: flags[name].to_numpy() for name in flags.columns}}


def _of_customer(customers: Ints, time: Ints, cents: Ints) -> dict[str, Any]:
    """Over (t - w, t]: the row itself and what came before it, which of a tie are the smaller ids."""
    windows = _Windows(customers, time, cents)
    last = windows.here()
    columns: dict[str, Any] = {}
    for days in WINDOW_DAYS:
        count, total = windows.between(windows.until(days * DAY_US), last)
        columns[f"customer_count_{days}d"] = count
        columns[f"customer_mean_amount_{days}d"] = total / (100 * count)
    return columns


def _of_terminal(terminals: Ints, time: Ints, frauds: Ints, delay_days: int) -> dict[str, Any]:
    """Over (t - delay - w, t - delay]; the risk of an empty window is 0."""
    windows = _Windows(terminals, time, frauds)
    last = windows.until(delay_days * DAY_US) if delay_days else windows.here()
    columns: dict[str, Any] = {}
    for days in WINDOW_DAYS:
        count, total = windows.between(windows.until((delay_days + days) * DAY_US), last)
        columns[f"terminal_count_{days}d"] = count
        columns[f"terminal_risk_{days}d"] = total / np.maximum(count, 1)
    return columns


class _Windows:
    """Counts and integer sums over windows of time within each group, by prefix sums: exact, and of one order.

    Rows come ordered by time and id. Sorted by group, each gets one integer, group and time side by side with a gap
    that is longer than any look back, so one binary search finds the border of a window and never leaves the group.
    """

    def __init__(self, groups: Ints, time: Ints, values: Ints) -> None:
        self._order = np.argsort(groups, kind="stable")
        dense = np.unique(groups, return_inverse=True)[1].astype(np.int64)[self._order]
        since = (time - time[:1].sum())[self._order]
        stride = int(since.max(initial=0)) + _LONGEST_US + 1
        if int(dense.max(initial=0)) > (2**63 - 1) // stride - 1:
            raise BadInput("the transactions span too many years for this many cards: check their times.")
        self._position = dense * stride + since
        self._sums = np.concatenate(([0], np.cumsum(values[self._order], dtype=np.int64)))

    def here(self) -> Ints:
        """For each row, how many rows there are up to itself."""
        return np.arange(1, len(self._order) + 1)

    def until(self, ago_us: int) -> Ints:
        """For each row, how many rows there are up to (and with) the time `ago_us` before it."""
        found: Ints = np.searchsorted(self._position, self._position - ago_us, side="right")
        return found

    def between(self, first: Ints, last: Ints) -> tuple[Ints, Ints]:
        """Count and sum of each row's window, in the order in which the rows came."""
        count, total = np.empty_like(first), np.empty_like(first)
        count[self._order] = last - first
        total[self._order] = self._sums[last] - self._sums[first]
        return count, total


def features_of_snapshot(snapshot: Dataset, validated: Dataset, params: FeatureParams) -> pl.DataFrame:
    """The table of a snapshot; `BadInput` unless the validation that passed is of these very bytes."""
    report = json.loads(validated.path("report.json").read_text())
    if report["snapshot"] != snapshot.sha256 or not report["passed"]:
        raise BadInput("data/snapshot has not passed validation as it is: run `dvc repro validate` and see its report.")
    transactions = read_tables(snapshot.under("transactions/"), TRANSACTION_SCHEMA)
    return build_features(label(transactions, read_tables(snapshot.under("reports/"), REPORT_SCHEMA)), params)
