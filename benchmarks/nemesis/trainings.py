"""What is trained while it is struck: every ready-made unit, in kits."""

from collections.abc import Mapping
from typing import Any

from benchmarks.undisturbed import Kit, separate, together
from benchmarks.workload import EPOCHS, rows_of
from koboshi.training import UnitSpec
from koboshi.training.data_parallel import data_parallel
from koboshi.training.search_space import grid
from koboshi.training.sklearn_units import folds

TREES = "koboshi.training.sklearn_units:trees"
COLUMNS = 8
ROWS = rows_of(COLUMNS)
SEED = {"random_state": 7}


def kits() -> dict[str, Kit]:
    """All of them: trees, epochs, folds, grids, and one model by several workers."""
    forest, descent = trees("RandomForestClassifier", 20), epochs("SGDClassifier", 20, loss="log_loss", **SEED)
    candidates = {"params.max_depth": [2, 4], "trees_a_step": [2, 4]}
    return {
        "trees": Kit("trees", {name: trees(name, 12) for name in _TREES}, separate, ROWS),
        "epochs": Kit("epochs", {name: epochs(name, 20, **params) for name, params in _EPOCHS.items()}, separate, ROWS),
        "folds": Kit("folds", folds(forest, 4, seed=1), separate, ROWS),
        "grid": Kit("grid", grid(trees("HistGradientBoostingClassifier", 20), candidates), separate, ROWS),
        "data-parallel": Kit("data-parallel", data_parallel(descent, 3), together, ROWS),
    }


def trees(estimator: str, steps: int) -> UnitSpec:
    """Three trees more in each step."""
    given = {"estimator": estimator, "trees_a_step": 3, "rows": ROWS, "params": {**SEED, "max_depth": 4}}
    return UnitSpec(TREES, given, steps)


def epochs(estimator: str, steps: int, **params: Any) -> UnitSpec:
    """Some epochs more in each step."""
    given = {"estimator": estimator, "epochs_a_step": 5, "rows_a_batch": 500, "scale": True}
    return UnitSpec(EPOCHS, {**given, "rows": ROWS, "params": params}, steps)


_KINDS = ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees")
_TREES = tuple(f"{kind}{task}" for kind in _KINDS for task in ("Classifier", "Regressor"))
_EPOCHS: Mapping[str, Mapping[str, Any]] = {
    "SGDClassifier": {**SEED, "loss": "log_loss", "average": True},
    "SGDRegressor": {**SEED, "learning_rate": "adaptive"},
    "MLPClassifier": {**SEED, "hidden_layer_sizes": [8]},
    "MLPRegressor": {**SEED, "hidden_layer_sizes": [8]},
    "GaussianNB": {},
}
