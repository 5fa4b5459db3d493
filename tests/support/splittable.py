"""Ready-made units of every kind that several workers can make one model of."""

from typing import Any

from koboshi.training import UnitSpec
from koboshi.training.sklearn_units import SklearnUnit
from tests.support.small_table import ROWS, one

SEED = {"random_state": 7}
STEPS = 3


def trees(estimator: str, *, trees_a_step: int = 5, **params: Any) -> UnitSpec:
    given = {"estimator": estimator, "trees_a_step": trees_a_step, "rows": ROWS, "params": {**SEED, **params}}
    return UnitSpec("koboshi.training.sklearn_units:trees", given, STEPS)


def forest(**params: Any) -> UnitSpec:
    return trees("RandomForestClassifier", max_depth=3, **params)


def epochs(estimator: str, params: dict[str, Any], *, steps: int = STEPS, **given: Any) -> UnitSpec:
    own = {"estimator": estimator, "rows": ROWS, "params": params, **given}
    return UnitSpec("koboshi.training.sklearn_units:epochs", own, steps)


FOREST = forest()
SPLITTABLE = {
    "descent": epochs("SGDClassifier", {**SEED, "loss": "log_loss"}, rows_a_batch=30),
    "averaged descent": epochs("SGDClassifier", {**SEED, "average": True, "loss": "log_loss"}, scale=True),
    "descent of a regression": epochs("SGDRegressor", {**SEED, "average": 20}, scale=True),
    "perceptron": epochs("MLPClassifier", {**SEED, "hidden_layer_sizes": [8]}, scale=True, epochs_a_step=2),
    "perceptron with momentum": epochs(
        "MLPRegressor", {**SEED, "hidden_layer_sizes": [4], "solver": "sgd"}, rows_a_batch=20
    ),
    "naive Bayes": epochs("GaussianNB", {}),
    "forest": FOREST,
    "forest of a regression": trees("RandomForestRegressor", max_depth=4, max_samples=0.7),
    "extra trees": trees("ExtraTreesClassifier", max_depth=4),
}


class Nothing:
    """A recipe of somebody else's."""

    def fresh(self, _rows: Any) -> Any:
        return None

    def advance(self, _model: Any, _number: int, _rows: Any) -> None:
        return None


def of_a_recipe() -> SklearnUnit:
    return SklearnUnit(one, Nothing(), lambda _model, _rows: {})  # type: ignore[arg-type]
