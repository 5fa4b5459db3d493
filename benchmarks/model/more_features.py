"""Features beyond the published ones, pure. Nothing is used here that is not known at the time of the transaction.

Labels are as late as in the published features; amounts are known at once. A customer's usual amount is a median, which
a thief's few purchases do not move. Amounts are counted in steps, because boosting sees a value by its bin alone, and
the few large ones would all be in one. A terminal that is compromised has nothing but frauds: so it is asked how its
newest known transactions ended, how many frauds in a row, since when, and how many that no amount explains.
"""

import polars as pl

from pipelines.columns import LABEL

_OF_TRANSACTION = ("amount_tens", "customer_amount_tenths", "customer_high_7d", "customer_high_14d")
_OF_TERMINAL = ("terminal_fraud_run", "terminal_run_days", "terminal_genuine_since")
_UNEXPLAINED = "terminal_unexplained_21d"
MORE_FEATURES = (*_OF_TRANSACTION, *_OF_TERMINAL, _UNEXPLAINED)
USUAL_OF = 50  # a customer's newest transactions, whose median is the usual amount
HIGH = 25  # tenths of the usual amount: genuine amounts are nearly never higher
LARGE_CENTS = 22_000  # frauds above it are known by their amount
WINDOW_DAYS = 21
NEVER = -1.0
HIGHEST = 200  # of what is counted in steps: boosting has 255 bins, and so one for each step
_CUSTOMER, _TERMINAL, _TIME = "customer_id", "terminal_id", "tx_datetime"


def more_features(rows: pl.DataFrame, delay_days: int) -> pl.DataFrame:
    """`MORE_FEATURES` of labelled transactions, which are ordered by time and id; one row for each, float64."""
    known = _with_customers(rows.select("transaction_id", _TIME, _CUSTOMER, _TERMINAL, "amount_cents", LABEL))
    states = _states(known)
    late, before = (_as_of(known, states, days) for days in (delay_days, delay_days + WINDOW_DAYS))
    unexplained = (late["unexplained"] - before["unexplained"]).alias(_UNEXPLAINED)
    columns = [*known.select(_OF_TRANSACTION), *late.select(_OF_TERMINAL), unexplained]
    return pl.DataFrame([column.cast(pl.Float64) for column in columns])


def _with_customers(rows: pl.DataFrame) -> pl.DataFrame:
    """How an amount compares with the customer's usual one, and how many were high in the days before."""
    usual = pl.col("amount_cents").rolling_median(USUAL_OF, min_samples=1).shift(1).over(_CUSTOMER)
    ratio = (pl.col("amount_cents") / usual.clip(lower_bound=1)).fill_null(1.0)  # the first is as usual
    rows = rows.with_columns(
        amount_tens=(pl.col("amount_cents") // 1_000).clip(upper_bound=HIGHEST),
        customer_amount_tenths=(ratio * 10).floor().clip(upper_bound=HIGHEST),
    )
    rows = rows.with_columns(high=(pl.col("customer_amount_tenths") > HIGH).cast(pl.Int64))
    recent = {
        f"customer_high_{days}d": pl.col("high").rolling_sum_by(_TIME, f"{days}d").over(_CUSTOMER) - pl.col("high")
        for days in (7, 14)
    }
    return rows.with_columns(**recent)


def _states(known: pl.DataFrame) -> pl.DataFrame:
    """How a terminal stands after each of its transactions, once all labels up to there are known."""
    fraud = pl.col(LABEL) == 1
    small = (pl.col("amount_cents") <= LARGE_CENTS) & (pl.col("customer_amount_tenths") <= HIGH)
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
    run_days = (pl.col("now").dt.date() - pl.col("began").dt.date()).dt.total_days().cast(pl.Float64)
    return found.select(
        pl.col("terminal_fraud_run").fill_null(0),
        run_days.fill_null(NEVER).alias("terminal_run_days"),
        pl.col("terminal_genuine_since").cast(pl.Float64).fill_null(NEVER),
        pl.col("unexplained").cast(pl.Int64).fill_null(0),
    )
