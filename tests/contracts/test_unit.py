"""The promise that all recovery rests on: for every step, a unit that was put down after it and taken up by another
instance ends with the same predictions, bit by bit, as one that was never put down (I5)."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from koboshi.datasets.manifest import open_verified, seal
from koboshi.errors import Corrupt
from koboshi.refs import DatasetRef
from koboshi.training import Unit
from koboshi.training.unit import make_unit
from pipelines.candidates import features_of, fitted_model, probability
from pipelines.columns import FEATURES, KEYS, LABEL, TABLE

STEPS = 4
SPLIT = {"start": "2018-07-25", "train_days": 7, "delay_days": 7, "test_days": 7}
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "logistic": {"epochs_a_step": 2, "alpha": 1e-4},
    "forest": {"trees_a_step": 3},
    "boosting": {"trees_a_step": 3, "max_leaf_nodes": 7},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    """Three weeks of 150 rows a day; a twentieth are fraud, and their features tell them, with noise."""
    rng, rows = np.random.default_rng(1), 21 * 150
    fraud = rng.random(rows) < 0.05
    start = datetime.datetime(2018, 7, 25)
    columns = {
        **{name: np.arange(rows) for name in KEYS},
        "tx_datetime": [start + datetime.timedelta(minutes=9.6 * row) for row in range(rows)],
        LABEL: fraud.astype(np.int8),
        **{name: rng.normal(fraud * 0.5, 1.0) for name in FEATURES},
    }
    folder = tmp_path_factory.mktemp("features")
    pl.DataFrame(columns).write_parquet(folder / TABLE)
    seal(folder)
    return DatasetRef(str(folder), open_verified(folder).sha256)


def fresh(name: str, table: DatasetRef) -> Unit:
    unit = make_unit(f"pipelines.candidates:{name}", {"split": SPLIT, "seed": 7, **CANDIDATES[name]})
    unit.start(table)
    return unit


def predictions(unit: Unit, table: DatasetRef) -> NDArray[np.float64]:
    return probability(fitted_model(unit.dump()), features_of(pl.read_parquet(Path(table.path) / TABLE)))


def run(unit: Unit, steps: range) -> list[Mapping[str, float]]:
    return [unit.step(number) for number in steps]


@pytest.mark.parametrize("name", CANDIDATES)
class TestEachCandidate:
    @pytest.mark.parametrize("put_down_after", range(STEPS + 1))
    def test_taken_up_after_any_step_it_ends_alike(self, name: str, put_down_after: int, table: DatasetRef) -> None:
        straight = fresh(name, table)
        metrics = run(straight, range(1, STEPS + 1))
        first = fresh(name, table)
        run(first, range(1, put_down_after + 1))
        second = fresh(name, table)
        if put_down_after:
            second.load(first.dump())
        resumed = run(second, range(put_down_after + 1, STEPS + 1))
        assert predictions(second, table).tobytes() == predictions(straight, table).tobytes()
        assert resumed == metrics[put_down_after:]

    def test_taken_up_between_all_steps_it_ends_alike(self, name: str, table: DatasetRef) -> None:
        straight = fresh(name, table)
        run(straight, range(1, STEPS + 1))
        state = b""
        for number in range(1, STEPS + 1):
            unit = fresh(name, table)
            if state:
                unit.load(state)
            unit.step(number)
            state = unit.dump()
        assert predictions(unit, table).tobytes() == predictions(straight, table).tobytes()

    def test_a_lost_state_shows(self, name: str, table: DatasetRef) -> None:
        """The equalities above could not fail if a step made up for what is not there."""
        straight, forgetful = fresh(name, table), fresh(name, table)
        run(straight, range(1, STEPS + 1))
        run(forgetful, range(3, STEPS + 1))
        assert predictions(forgetful, table).tobytes() != predictions(straight, table).tobytes()

    def test_each_step_learns_something_and_tells_it(self, name: str, table: DatasetRef) -> None:
        unit = fresh(name, table)
        for number in range(1, STEPS + 1):
            metrics, before = unit.step(number), unit.dump()
            assert set(metrics) == {"delay_week_auc_roc", "delay_week_average_precision"}
            assert 0.5 < metrics["delay_week_auc_roc"] <= 1.0
            unit.step(number + 1)
            assert unit.dump() != before

    def test_another_table_than_the_ordered_one_is_refused(self, name: str, table: DatasetRef) -> None:
        with pytest.raises(Corrupt, match="has changed since"):
            fresh(name, DatasetRef(table.path, "0" * 64))


def test_without_a_week_of_delay_progress_is_watched_on_the_rows_learnt_from(table: DatasetRef) -> None:
    unit = make_unit(
        "pipelines.candidates:forest", {"split": {**SPLIT, "delay_days": 0}, "seed": 7, **CANDIDATES["forest"]}
    )
    unit.start(table)
    assert unit.step(1)["delay_week_auc_roc"] > 0.9
