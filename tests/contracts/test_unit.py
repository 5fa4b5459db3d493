"""The promise that all recovery rests on: for every step, a unit that was put down after it and taken up by another
process ends with the same predictions, bit by bit, as one that was never put down (I5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from koboshi.errors import Corrupt
from koboshi.formats.manifest import DatasetRef
from koboshi.training import Unit
from koboshi.training.spec import make_unit
from koboshi.training.testing import contract_of
from pipelines.candidates import KINDS
from tests.support.candidate_table import SPLIT, candidate_table, predictions

STEPS = 4
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "logistic": {"epochs_a_step": 2, "alpha": 1e-4},
    "forest": {"trees_a_step": 3},
    "boosting": {"trees_a_step": 3, "max_leaf_nodes": 7},
}
UNITS = {name: KINDS[name](steps=STEPS, random_state=7, **own).spec(0.2) for name, own in CANDIDATES.items()}

test_candidates = pytest.mark.usefixtures("unmeasured")(
    contract_of(UNITS, candidate_table, predict="tests.support.candidate_table:predictions")
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return candidate_table(tmp_path_factory.mktemp("features"))


def fresh(name: str, table: DatasetRef) -> Unit:
    unit = make_unit(UNITS[name].factory, UNITS[name].params)
    unit.start(table)
    return unit


def run(unit: Unit, steps: range) -> list[Mapping[str, float]]:
    return [unit.step(number) for number in steps]


@pytest.mark.parametrize("name", CANDIDATES)
class TestEachCandidate:
    def test_taken_up_between_all_steps_it_ends_alike(self, name: str, table: DatasetRef) -> None:
        straight = fresh(name, table)
        metrics = run(straight, range(1, STEPS + 1))
        state, resumed = b"", []
        for number in range(1, STEPS + 1):
            unit = fresh(name, table)
            if state:
                unit.load(state)
            resumed.append(unit.step(number))
            state = unit.dump()
        assert predictions(state, table).tobytes() == predictions(straight.dump(), table).tobytes()
        assert resumed == metrics

    def test_a_lost_state_shows(self, name: str, table: DatasetRef) -> None:
        """The equalities above could not fail if a step made up for what is not there."""
        straight, forgetful = fresh(name, table), fresh(name, table)
        run(straight, range(1, STEPS + 1))
        run(forgetful, range(3, STEPS + 1))
        assert predictions(forgetful.dump(), table).tobytes() != predictions(straight.dump(), table).tobytes()

    def test_each_step_learns_something_and_tells_it(self, name: str, table: DatasetRef) -> None:
        unit = fresh(name, table)
        for number in range(1, STEPS + 1):
            metrics, before = unit.step(number), unit.dump()
            assert set(metrics) == {"roc_auc", "average_precision"}
            assert 0.5 < metrics["roc_auc"] <= 1.0
            unit.step(number + 1)
            assert unit.dump() != before

    def test_another_table_than_the_ordered_one_is_refused(self, name: str, table: DatasetRef) -> None:
        with pytest.raises(Corrupt, match="manifest"):
            fresh(name, DatasetRef(table.path, "0" * 64))


def test_without_a_week_of_delay_progress_is_watched_on_the_rows_learnt_from(tmp_path: Path) -> None:
    unit = make_unit(UNITS["forest"].factory, UNITS["forest"].params)
    unit.start(candidate_table(tmp_path, SPLIT.model_copy(update={"delay_days": 0})))
    assert unit.step(1)["roc_auc"] > 0.9
