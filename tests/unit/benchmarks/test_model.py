"""`make benchmark-model`: nobody sees the future, every week is one of the stream, and one bit is a difference."""

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.bars import missed
from benchmarks.model import report
from benchmarks.model.__main__ import planned
from benchmarks.model.entrants import entrants, units
from benchmarks.model.killer import Killed
from benchmarks.model.more_features import MORE_FEATURES, more_features
from benchmarks.model.outcome import Outcome, digest
from benchmarks.model.weeks import end, last_day, weeks
from koboshi.datasets.params import load_params
from koboshi.training.spec import make_unit
from pipelines.candidates import TrainParams
from pipelines.columns import LABEL
from pipelines.published import COLUMNS, PUBLISHED
from pipelines.simulator import Simulation, simulate
from pipelines.splits import Split

PROJECT = Path(__file__).parents[3]
PUBLISHED_SPLIT = Split(start=datetime.date(2018, 7, 25), train_days=7, delay_days=7, test_days=7)
DELAY_DAYS = 7


def test_the_weeks_are_the_published_one_and_each_that_the_stream_has_after_it() -> None:
    found = weeks(PUBLISHED_SPLIT, last_day(Simulation()))
    assert found[0] == PUBLISHED_SPLIT
    assert [week.start for week in found] == [datetime.date(2018, 7, 25) + datetime.timedelta(7 * i) for i in range(7)]
    assert end(found[-1]) <= datetime.date(2018, 9, 30) < end(found[-1]) + datetime.timedelta(days=7)
    assert weeks(PUBLISHED_SPLIT, datetime.date(2018, 8, 13)) == []


@pytest.fixture(scope="module")
def labelled() -> pl.DataFrame:
    stream = simulate(Simulation(customers=40, terminals=60, days=50))
    return stream.with_columns(pl.col(LABEL).cast(pl.Int8), pl.col("tx_datetime").cast(pl.Datetime("us")))


def test_features_use_no_label_of_the_last_seven_days_and_nothing_of_later(labelled: pl.DataFrame) -> None:
    """What is known at a moment, and no more: another future, and labels that have not come yet, change nothing."""
    now = datetime.datetime(2018, 5, 10)
    past = labelled["tx_datetime"] <= now
    unknown = labelled["tx_datetime"] > now - datetime.timedelta(days=DELAY_DAYS)
    other = labelled.with_columns(
        pl.when(unknown).then(1 - pl.col(LABEL)).otherwise(LABEL).alias(LABEL),
        pl.when(past).then("amount_cents").otherwise(7).alias("amount_cents"),
    )
    assert more_features(other, DELAY_DAYS).filter(past).equals(more_features(labelled, DELAY_DAYS).filter(past))
    assert not more_features(other, 0).filter(past).equals(more_features(labelled, 0).filter(past))


def test_a_terminal_whose_newest_known_transactions_are_frauds_shows_it() -> None:
    days = [0, 1, 2, 3, 12]  # genuine, then three frauds of which the last is too large to tell of the terminal
    rows = pl.DataFrame(
        {
            "transaction_id": range(5),
            "tx_datetime": [datetime.datetime(2018, 4, 1) + datetime.timedelta(days=day) for day in days],
            "customer_id": range(5),
            "terminal_id": [9] * 5,
            "amount_cents": [500, 500, 500, 30_000, 500],
            LABEL: [0, 1, 1, 1, 0],
        }
    ).with_columns(pl.col("tx_datetime").cast(pl.Datetime("us")))
    found = dict(zip(MORE_FEATURES, more_features(rows, DELAY_DAYS).row(4), strict=True))
    assert found["terminal_fraud_run"] == 3
    assert found["terminal_run_days"] == 11
    assert found["terminal_genuine_since"] == 0
    assert found["terminal_unexplained_21d"] == 2
    first = dict(zip(MORE_FEATURES, more_features(rows, DELAY_DAYS).row(3), strict=True))
    assert (first["terminal_fraud_run"], first["terminal_run_days"], first["terminal_genuine_since"]) == (0, -1, -1)


def test_an_amount_is_compared_with_what_the_customer_paid_before() -> None:
    rows = pl.DataFrame(
        {
            "transaction_id": range(5),
            "tx_datetime": [datetime.datetime(2018, 4, 1 + day) for day in range(5)],
            "customer_id": [3] * 5,
            "terminal_id": range(5),
            "amount_cents": [1000, 1200, 5500, 1100, 4600],
            LABEL: [0] * 5,
        }
    ).with_columns(pl.col("tx_datetime").cast(pl.Datetime("us")))
    found = more_features(rows, DELAY_DAYS)
    assert found["customer_amount_tenths"].to_list() == [10, 12, 50, 9, 40]
    assert found["amount_tens"].to_list() == [1, 1, 5, 1, 4]
    assert found["customer_high_14d"].to_list() == [0, 0, 0, 1, 1]


def test_every_model_of_every_week_is_a_unit_of_its_own_that_can_be_made() -> None:
    everybody = entrants(load_params(PROJECT, "train", TrainParams))
    ordered = units(everybody, weeks(PUBLISHED_SPLIT, last_day(Simulation())), seed=0)
    assert len(ordered) == 7 * len(everybody) == len({str(unit.facts()) for unit in ordered.values()})
    for name, unit in ordered.items():
        assert len(name.split("/")) == 2
        make_unit(unit.factory, unit.params)
    assert {entrant.rebuilt for entrant in everybody if not entrant.ours} <= set(PUBLISHED)


def test_a_quick_try_is_one_week_and_one_kill() -> None:
    plan = planned(seed=3, every_s=20.0, quick=True)
    assert (len(plan.weeks), plan.kills_needed(1_000.0), plan.simulation.seed) == (1, 1, 3)
    whole = planned(seed=0, every_s=20.0, quick=False)
    assert [whole.kills_needed(s) for s in (50.0, 119.0, 200.0)] == [5, 5, 9]


def test_one_bit_of_one_score_is_another_digest() -> None:
    scores = np.array([0.25, 0.5])
    assert digest(pl.Series(scores)) == digest(pl.Series(scores.copy()))
    assert digest(pl.Series(scores)) != digest(pl.Series([0.25, np.nextafter(0.5, 1.0)]))


EVERYBODY = entrants(load_params(PROJECT, "train", TrainParams))
WEEK = "2018-07-25"


def outcome(kills: int) -> Outcome:
    figures = {entrant.name: {WEEK: dict.fromkeys(COLUMNS, 0.5 + i / 100)} for i, entrant in enumerate(EVERYBODY)}
    digests = {f"{entrant.name}/{WEEK}": "ab" for entrant in EVERYBODY}
    killed = [Killed("forest/1", 2, 7, 0.0, "", 0.4, 1)] * kills
    return Outcome(100.0, killed, figures, digests, {name: [{"auc": 0.5}] for name in digests})


def test_the_same_under_enough_kills_is_met() -> None:
    assert missed(report.same(outcome(5), outcome(0), 5)) == []


def test_a_difference_is_told_by_what_differs() -> None:
    calm = outcome(0)
    unit = next(iter(calm.digests))
    other = dataclasses.replace(outcome(5), digests={**calm.digests, unit: "ac"})
    assert [bar.what for bar in missed(report.same(other, calm, 5))] == ["scores the same to the last bit"]
    absent = dataclasses.replace(outcome(5), digests={})
    assert [bar.what for bar in missed(report.same(absent, calm, 5))] == ["scores the same to the last bit"]
    steps = dataclasses.replace(outcome(5), histories={**calm.histories, unit: [{"auc": 0.6}]})
    assert [bar.what for bar in missed(report.same(steps, calm, 5))] == ["metrics of each step the same"]


def test_too_few_kills_prove_nothing() -> None:
    assert [bar.what for bar in missed(report.same(outcome(4), outcome(0), 5))] == ["workers killed at a step"]


def test_the_champion_is_one_of_ours_and_has_to_be_ahead_of_the_published_models_rebuilt() -> None:
    figures = outcome(0).figures
    best = report.champion(EVERYBODY, figures, "card_precision")
    assert best == EVERYBODY[-1].name
    assert missed(report.worth(EVERYBODY, figures, "card_precision")) == []
    ahead = {**figures, EVERYBODY[0].name: {WEEK: {**figures[best][WEEK], "auc_roc": 0.99}}}
    assert len(missed(report.worth(EVERYBODY, ahead, "card_precision"))) == 1


def test_the_table_has_the_published_figures_beside_those_of_the_same_week_and_of_all_weeks() -> None:
    figures = {name: {**weeks, "2018-08-01": dict.fromkeys(COLUMNS, 0.7)} for name, weeks in outcome(0).figures.items()}
    lines = {line.name: line for line in report.lines(EVERYBODY, figures, {WEEK: dict.fromkeys(COLUMNS, 1.0)})}
    assert report.cells(lines["logistic regression"])[:3] == ["0.871", "0.500", "0.600 ± 0.141"]
    assert report.cells(lines["XGBoost, tuned"])[:3] == ["0.869", "", ""]
    assert {f"ours: {entrant.name}" for entrant in EVERYBODY if entrant.ours} < set(lines)
