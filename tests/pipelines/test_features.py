"""The fifteen published features, against a reference that is slow and plain."""

import datetime
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.columns import FEATURES, KEYS, LABEL
from pipelines.features import FeatureParams, build_features, label
from pipelines.schemas import REPORT_SCHEMA, TRANSACTION_SCHEMA

START = datetime.datetime(2018, 6, 18)
DAY_S = 86_400
PARAMS = FeatureParams(night_until_hour=6, weekend_from_weekday=5, label_delay_days=7)

Row = tuple[int, datetime.datetime, int, int, int]


def table(rows: list[Row], fraud: set[int]) -> pl.DataFrame:
    reports = pl.DataFrame([(number, START) for number in sorted(fraud)], schema=REPORT_SCHEMA, orient="row")
    return label(pl.DataFrame(rows, schema=TRANSACTION_SCHEMA, orient="row"), reports)


def reference(rows: list[Row], fraud: set[int]) -> list[dict[str, float]]:
    """Row by row from the definitions, in exact fractions, rounded once at the end."""
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    return [_features(ordered[: index + 1], fraud) for index in range(len(ordered))]


def _features(until_here: list[Row], fraud: set[int]) -> dict[str, float]:
    _, now, customer, terminal, cents = until_here[-1]
    found: dict[str, Fraction | int | bool] = {
        "amount": Fraction(cents, 100),
        "weekend": now.weekday() >= 5,
        "night": now.hour <= 6,
    }
    for days in (1, 7, 30):
        window = datetime.timedelta(days=days)
        own = [row[4] for row in until_here if row[2] == customer and row[1] > now - window]
        found[f"customer_count_{days}d"] = len(own)
        found[f"customer_mean_amount_{days}d"] = Fraction(sum(own), 100 * len(own))
        late = now - datetime.timedelta(days=7)
        there = [row[0] in fraud for row in until_here if row[3] == terminal and late - window < row[1] <= late]
        found[f"terminal_count_{days}d"] = len(there)
        found[f"terminal_risk_{days}d"] = Fraction(sum(there), len(there)) if there else 0
    return {name: float(value) for name, value in found.items()}


# Times a whole number of days apart, and in the same second: windows' borders and ties are the rule here.
seconds = st.one_of(st.integers(0, 45 * DAY_S), st.integers(0, 45).map(lambda day: day * DAY_S), st.just(5))
rows_strategy = st.lists(
    st.tuples(seconds, st.integers(0, 2), st.integers(-1, 1), st.integers(0, 10**9)), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(rows_strategy, st.sets(st.integers(0, 39)), st.permutations(range(40)))
def test_they_equal_the_published_definitions_to_the_last_bit(
    drawn: list[tuple[int, int, int, int]], fraud: set[int], numbers: list[int]
) -> None:
    """Ties in one second included: a row sees the smaller ids of its tie and not the larger; order does not matter."""
    rows: list[Row] = [
        (number, START + datetime.timedelta(seconds=at), customer, terminal, cents)
        for number, (at, customer, terminal, cents) in zip(numbers, drawn, strict=False)
    ]
    found = build_features(table(rows, fraud), PARAMS)
    assert found.select(FEATURES).to_dicts() == reference(rows, fraud)
    assert found.columns == [*KEYS, LABEL, *FEATURES]
    assert found[LABEL].to_list() == [int(key in fraud) for key in found["transaction_id"]]
    assert found.select("tx_datetime", "transaction_id").rows() == sorted((row[1], row[0]) for row in rows)


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    """(t - 1 d, t] for a customer: what is a day old to the second is out."""
    day = datetime.timedelta(days=1)
    found = build_features(table([(1, START, 1, 1, 100), (2, START + day, 1, 1, 300)], set()), PARAMS)
    assert found["customer_count_1d"].to_list() == [1, 1]
    assert found["customer_mean_amount_7d"].to_list() == [1.0, 2.0]


def test_a_terminal_is_judged_by_what_is_seven_days_old() -> None:
    later = [datetime.timedelta(days=days) for days in (0, 7, 8)]
    rows = [(number, START + after, number, 1, 100) for number, after in enumerate(later)]
    found = build_features(table(rows, {0}), PARAMS)
    assert found["terminal_count_1d"].to_list() == [0, 1, 0]
    assert found["terminal_risk_7d"].to_list() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("when", "weekend", "night"),
    [
        ("2018-06-22T23:59:59", 0, 0),
        ("2018-06-23T00:00:00", 1, 1),
        ("2018-06-24T06:59:59", 1, 1),
        ("2018-06-24T07:00:00", 1, 0),
        ("2018-06-25T06:00:00", 0, 1),
    ],
)
def test_weekend_and_night(when: str, weekend: float, night: float) -> None:
    found = build_features(table([(1, datetime.datetime.fromisoformat(when), 1, 1, 100)], set()), PARAMS)
    assert found.select("weekend", "night").row(0) == (weekend, night)


def test_no_rows_are_no_features() -> None:
    found = build_features(table([], set()), PARAMS)
    assert found.height == 0
    assert found.schema["terminal_risk_30d"] == pl.Float64
