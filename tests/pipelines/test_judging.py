"""The published protocol: which rows judge, and how; against a plain reading of it."""

import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.errors import BadInput
from pipelines.columns import FEATURES
from pipelines.judging import EvaluateParams, Judgement, card_precision, judge, judgements
from pipelines.pictures import curve_of, draw, write_curves
from pipelines.published import PUBLISHED, comparison
from pipelines.splits import Split, test_rows, training_rows, write_weeks

test_rows.__test__ = False  # type: ignore[attr-defined]
SPLIT = Split(start=datetime.date(2018, 7, 25), train_days=3, delay_days=2, test_days=3)
MIDNIGHT = datetime.datetime(2018, 7, 25)
PARAMS = EvaluateParams(select_by="card_precision", top_cards=2, calibration_bins=4, curve_points=50)
SCHEMA = {
    "transaction_id": pl.Int64,
    "tx_datetime": pl.Datetime("us"),
    "customer_id": pl.Int64,
    "is_fraud": pl.Int8,
}

Row = tuple[int, int, int]
"""Day after the start of training, customer, fraud."""


def table(rows: list[Row]) -> pl.DataFrame:
    described = [
        (number, MIDNIGHT + datetime.timedelta(days=day, hours=12), customer, fraud)
        for number, (day, customer, fraud) in enumerate(sorted(rows))
    ]
    return pl.DataFrame(described, schema=SCHEMA, orient="row")


rows_strategy = st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 5), st.integers(0, 1)), max_size=40)


@settings(max_examples=80, deadline=None)
@given(rows_strategy)
def test_the_test_rows_leave_out_customers_that_are_known_by_then(rows: list[Row]) -> None:
    found = test_rows(table(rows), SPLIT)
    expected = []
    for number, (day, customer, _) in enumerate(sorted(rows)):
        known = {other for when, other, fraud in rows if fraud and 0 <= when < 3 + (day - 5)}
        if 5 <= day < 8 and customer not in known:
            expected.append(number)
    assert found["transaction_id"].to_list() == expected
    assert training_rows(table(rows), SPLIT).height == sum(0 <= day < 3 for day, _, _ in rows)


def slow_card_precision(rows: pl.DataFrame, scores: list[float], top: int) -> list[Fraction]:
    caught: set[int] = set()
    shares = []
    for day in sorted({when.date() for when in rows["tx_datetime"]}):
        cards: dict[int, tuple[float, int]] = {}
        for (_, when, customer, fraud), score in zip(rows.rows(), scores, strict=True):
            if when.date() == day and customer not in caught:
                best, bad = cards.get(customer, (-1.0, 0))
                cards[customer] = (max(best, score), max(bad, fraud))
        first = sorted(cards, key=lambda customer: (-cards[customer][0], customer))[:top]
        found = [customer for customer in first if cards[customer][1]]
        caught.update(found)
        shares.append(Fraction(len(found), top))
    return shares


@settings(max_examples=80, deadline=None)
@given(rows_strategy.filter(bool), st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=40, max_size=40))
def test_card_precision_counts_cards_that_are_not_yet_caught(rows: list[Row], drawn: list[float]) -> None:
    whole = table(rows)
    scores = drawn[: whole.height]
    days = card_precision(whole, np.array(scores), top_cards=2)
    assert [Fraction(day.caught, 2) for day in days] == slow_card_precision(whole, scores, 2)
    assert all(day.caught <= day.compromised for day in days)


def both_kinds() -> pl.DataFrame:
    return table([(5 + day, customer, int(customer in (1, 2))) for day in range(3) for customer in range(6)])


def test_a_perfect_candidate_is_perfect_and_its_curves_say_so() -> None:
    rows = both_kinds()
    scores = rows["is_fraud"].cast(pl.Float64).to_numpy()
    judged = judge(rows, scores, top_cards=2, calibration_bins=4, curve_points=50)
    assert judged.metrics["auc_roc"] == judged.metrics["average_precision"] == 1.0
    assert judged.metrics["brier_score"] == 0.0
    assert judged.card_precision["caught"].to_list() == [2, 0, 0], "caught once, a card leaves the game"
    assert judged.metrics["card_precision"] == pytest.approx(1 / 3)
    assert judged.calibration.select("predicted", "observed", "transactions").rows() == [(0.0, 0.0, 12), (1.0, 1.0, 6)]
    assert judged.roc.row(-1) == (1.0, 1.0)


def test_curves_are_thinned_and_keep_their_ends() -> None:
    chance = np.random.default_rng(0)
    rows = table([(5 + number % 3, number, int(chance.random() < 0.3)) for number in range(900)])
    scores = chance.random(900)
    judged = judge(rows, scores, top_cards=2, calibration_bins=4, curve_points=50)
    assert 2 < judged.roc.height <= 50
    assert judged.roc.row(0) == (0.0, 0.0)
    assert judged.precision_recall["recall"][0] == 1.0
    assert judged.calibration["transactions"].sum() == 900


def test_each_curve_has_a_picture(tmp_path: Path) -> None:
    rows = both_kinds()
    judged = judge(rows, np.linspace(0, 1, rows.height), top_cards=2, calibration_bins=4, curve_points=50)
    draw("forest", judged, tmp_path / "forest")
    pictures = {path.stem: path.read_bytes() for path in (tmp_path / "forest").glob("*.png")}
    assert set(pictures) == {"roc", "precision_recall", "card_precision", "calibration"}
    assert all(data.startswith(b"\x89PNG") for data in pictures.values())
    draw("forest", judged, tmp_path / "again")
    assert {path.stem: path.read_bytes() for path in (tmp_path / "again").glob("*.png")} == pictures


class Scored:
    """A model whose score of a row is in its first feature, or one minus that."""

    def __init__(self, *, right: bool) -> None:
        self.right = right

    def predict_proba(self, features: pd.DataFrame) -> Any:
        scores = features[FEATURES[0]].to_numpy()
        return np.column_stack([1 - scores, scores] if self.right else [scores, 1 - scores])


def with_features(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(**{name: pl.col("is_fraud").cast(pl.Float64) for name in FEATURES})


def judged_models(rows: pl.DataFrame | None = None) -> dict[str, Judgement]:
    models = {"good": Scored(right=True), "bad": Scored(right=False)}
    return judgements(models, with_features(both_kinds() if rows is None else rows), PARAMS)


def test_each_model_is_judged_on_the_same_rows_and_its_curves_are_named() -> None:
    found = judged_models()
    assert found["good"].metrics["auc_roc"] == 1.0
    assert found["bad"].metrics["auc_roc"] == 0.0
    assert set(curve_of(found, "roc")["candidate"]) == {"bad", "good"}


def test_each_curve_is_a_table_of_all_candidates(tmp_path: Path) -> None:
    write_curves(judged_models(), tmp_path)
    for curve in ("roc", "precision_recall", "card_precision", "calibration"):
        assert set(pl.read_json(tmp_path / f"{curve}.json")["candidate"]) == {"bad", "good"}


def test_a_test_week_without_fraud_judges_nobody() -> None:
    with pytest.raises(BadInput, match=r"2 rows, 0 of them fraud.*stream more days"):
        judged_models(table([(5, 1, 0), (6, 2, 0)]))


def test_the_numbers_stand_beside_the_published_ones() -> None:
    text = comparison({name: judgement.metrics for name, judgement in judged_models().items()})
    assert len(text.splitlines()) == 1 + 2 + len(PUBLISHED)
    assert "published: XGBoost" in text


def test_the_weeks_are_files_of_their_own(tmp_path: Path) -> None:
    """A day is in one of them at most; where there is no delay, the rows learnt from are watched."""
    rows = table([(day, day, 0) for day in range(-1, 10)])
    write_weeks(rows, SPLIT, tmp_path)
    found = {name: pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("learn", "watch", "judge")}
    days = {name: found[name]["customer_id"].to_list() for name in found}
    assert days == {"learn": [0, 1, 2], "watch": [3, 4], "judge": [5, 6, 7]}
    write_weeks(rows, SPLIT.model_copy(update={"delay_days": 0}), tmp_path)
    assert (tmp_path / "watch.parquet").read_bytes() == (tmp_path / "learn.parquet").read_bytes()
