"""Every ready-made unit resumes exactly after every step, whatever else is different then (I5)."""

from pathlib import Path
from typing import Any

import pytest

from koboshi.training import UnitSpec
from koboshi.training.sklearn_units import folds, predictions
from koboshi.training.spec import make_unit
from koboshi.training.testing import contract_of
from tests.support.small_table import ROWS, small_table

STEPS = 3
SEED = {"random_state": 7}


def trees(estimator: str, **params: Any) -> UnitSpec:
    given = {"estimator": estimator, "trees_a_step": 2, "rows": ROWS, "params": {**SEED, "max_depth": 3, **params}}
    return UnitSpec("koboshi.training.sklearn_units:trees", given, STEPS)


def epochs(estimator: str, params: dict[str, Any], **given: Any) -> UnitSpec:
    own = {"estimator": estimator, "rows": ROWS, "params": params, "rows_a_batch": 100, **given}
    return UnitSpec("koboshi.training.sklearn_units:epochs", own, STEPS)


UNITS = {
    "forest": trees("RandomForestClassifier"),
    "extra trees": trees("ExtraTreesRegressor"),
    "boosting": trees("GradientBoostingClassifier", subsample=0.5),
    "boosting over histograms": trees("HistGradientBoostingClassifier", max_features=0.5),
    "averaged descent": epochs("SGDClassifier", {**SEED, "average": True, "loss": "log_loss"}, scale=True),
    "descent of a regression": epochs("SGDRegressor", {**SEED, "learning_rate": "adaptive"}, scale=True),
    "perceptron": epochs("MLPClassifier", {**SEED, "hidden_layer_sizes": [8]}, scale=True, epochs_a_step=2),
    "naive Bayes": epochs("GaussianNB", {}),
    "a fold": folds(trees("RandomForestClassifier"), 3, seed=1)["fold-2"],
}

test_ready_made_units = pytest.mark.usefixtures("unmeasured")(
    contract_of(UNITS, small_table, predict="koboshi.training.sklearn_units:predictions")
)


@pytest.mark.parametrize("name", UNITS)
def test_a_lost_state_would_show(name: str, tmp_path: Path) -> None:
    """The cases above could not fail if a step made up for what is not there."""
    spec, table = UNITS[name], small_table(tmp_path)

    def predicted(steps: range) -> bytes:
        unit = make_unit(spec.factory, spec.params)
        unit.start(table)
        for number in steps:
            unit.step(number)
        return bytes(predictions(unit.dump(), table, spec.params).tobytes())

    assert predicted(range(1, STEPS + 1)) != predicted(range(2, STEPS + 1))
