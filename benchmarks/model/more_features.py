"""Features beyond the published ones, pure. Nothing is used here that is not known at the time of the transaction.

Labels are as late as in the published features; amounts are known at once. A customer's usual amount is a median, which
a thief's few purchases do not move. Of a terminal it is asked how its newest known transactions ended, because one that
is compromised has nothing but frauds: how many in a row, since when, and how many that no amount explains.
"""

from collections.abc import Mapping

import polars as pl

from pipelines.columns import LABEL

MORE_FEATURES = (
    "customer_amount_ratio",
    "customer_high_7d",
    "customer_high_14d",
    "terminal_fraud_run",
    "terminal_run_days",
    "terminal_genuine_since",
    "terminal_unexplained_21d",
)
USUAL_OF = 50  # a customer's newest transactions, whose median is the usual amount
HIGH = 2.5  # times the usual amount: genuine amounts are nearly never as high
LARGE_CENTS = 22_000  # frauds above it are known by their amount
WINDOW_DAYS = 21
NEVER = -1.0
_CUSTOMER, _TERMINAL, _TIME = "customer_id", "terminal_id", "tx_datetime"


def more_features(rows: pl.DataFrame, delay_days: int) -> pl.DataFrame:
    """`MORE_FEATURES` of labelled transactions, which are ordered by time and id; one row for each, float64."""
    known = _with_customers(rows.select("transaction_id", _TIME, _CUSTOMER, _TERMINAL, "amount_cents", LABEL))
    late = _as_of(known, _states(known), delay_days)
    before = _as_of(known, _states(known), delay_days + WINDOW_DAYS)
    named: Mapping[str, pl.Series] = {
        **{name: known[name] for name in MORE_FEATURES[:3]},
        **{name: late[name] for name in MORE_FEATURES[3:6]},
        MORE_FEATURES[6]: late["unexplained"] - before["unexplained"],
    }
    return pl.DataFrame({name: values.cast(pl.Float64) for name, values in named.items()})


def _with_customers(rows: pl.DataFrame) -> pl.DataFrame:
    """How a customer's amount compares with the usual one, and how often it was high before, in the last days."""
    usual = pl.col("amount_cents").rolling_median(USUAL_OF, min_samples=1).shift(1).over(_CUSTOMER)
    ratio = (pl.col("amount_cents") / usual.clip(lower_bound=1)).fill_null(1.0)  # the first is as usual
    rows = rows.with_columns(customer_amount_ratio=ratio)
    rows = rows.with_columns(high=(pl.col("customer_amount_ratio") > HIGH).cast(pl.Int64))
    recent = {
        f"customer_high_{days}d": pl.col("high").rolling_sum_by(_TIME, f"{days}d").over(_CUSTOMER) - pl.col("high")
        for days in (7, 14)
    }
    return rows.with_columns(**recent)


def _states(known: pl.DataFrame) -> pl.DataFrame:
    """How a terminal stands after each of its transactions, once all labels up to there are known."""
    fraud = pl.col(LABEL) == 1
    small = (pl.col("amount_cents") <= LARGE_CENTS) & (pl.col("customer_amount_ratio") <= HIGH)
    rows = known.select(_TIME, _TERMINAL, fraud=fraud, unexplained=fraud & small)
    rows = rows.with_columns(
        genuine=(~pl.col("fraud")).cum_sum().over(_TERMINAL),
        unexplained_there=pl.col("unexplained").cum_sum().over(_TERMINAL),
    )
    run = (_TERMINAL, "genuine")  # frauds with as many genuine transactions before them are in a row
    began = pl.when("fraud").then(_TIME).min().over(run)
    genuine_at = pl.when("unexplained").then("genuine").forward_fill().over(_TERMINAL)
    return rows.select(
        _TIME,
        _TERMINAL,
        terminal_fraud_run=pl.col("fraud").cum_sum().over(run),
        began=pl.when("fraud").then(began),
        terminal_genuine_since=pl.col("genuine") - genuine_at,
        unexplained=pl.col("unexplained_there"),
    )


def _as_of(known: pl.DataFrame, states: pl.DataFrame, days: int) -> pl.DataFrame:
    """For each transaction, how its terminal stood so many days before, in the order in which the rows came."""
    asked = known.select(_TERMINAL, now=_TIME, at=pl.col(_TIME) - pl.duration(days=days))
    found = asked.join_asof(
        states, left_on="at", right_on=_TIME, by=_TERMINAL, strategy="backward", check_sortedness=False
    )
    run_days = (pl.col("now") - pl.col("began")).dt.total_seconds() / 86_400
    return found.select(
        pl.col("terminal_fraud_run").fill_null(0),
        run_days.fill_null(NEVER).alias("terminal_run_days"),
        pl.col("terminal_genuine_since").cast(pl.Float64).fill_null(NEVER),
        pl.col("unexplained").cast(pl.Int64).fill_null(0),
    )
