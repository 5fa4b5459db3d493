"""What is trained while it is struck: every ready-made unit, in kits, and what each comes to when nothing happens."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.workload import EPOCHS, rows_of
from koboshi.refs import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.data_parallel import data_parallel, merged
from koboshi.training.pandas_rows import views
from koboshi.training.search_space import grid
from koboshi.training.sklearn_folds import folds
from koboshi.training.sklearn_units import fitted_model
from koboshi.training.unit import Unit, make_unit

TREES = "koboshi.training.sklearn_units:trees"
COLUMNS = 8
SEED = {"random_state": 7}
States = Mapping[str, bytes]


@dataclasses.dataclass(frozen=True)
class Kit:
    """Units that are trained together; `models` makes of their final states what is asked for predictions."""

    name: str
    units: Mapping[str, UnitSpec]
    models: Callable[[States], Mapping[str, Any]]

    def predictions(self, states: States, table: DatasetRef) -> dict[str, bytes]:
        """Every model's predictions for all rows, to be compared bit by bit."""
        features = views(table, rows_of(COLUMNS)).learn.features
        with threadpool_limits(limits=1):
            return {name: _asked(model, features) for name, model in self.models(states).items()}


def kits() -> dict[str, Kit]:
    """All of them: trees, epochs, folds, grids, and one model by several workers."""
    forest, descent = trees("RandomForestClassifier", 20), epochs("SGDClassifier", 20, loss="log_loss", **SEED)
    candidates = {"params.max_depth": [2, 4], "trees_a_step": [2, 4]}
    return {
        "trees": Kit("trees", {name: trees(name, 12) for name in _TREES}, separate),
        "epochs": Kit("epochs", {name: epochs(name, 20, **params) for name, params in _EPOCHS.items()}, separate),
        "folds": Kit("folds", folds(forest, 4, seed=1), separate),
        "grid": Kit("grid", grid(trees("HistGradientBoostingClassifier", 20), candidates), separate),
        "data-parallel": Kit("data-parallel", data_parallel(descent, 3), together),
    }


def separate(states: States) -> Mapping[str, Any]:
    """Each unit is a model."""
    return {name: fitted_model(state) for name, state in states.items()}


def together(states: States) -> Mapping[str, Any]:
    """All units are shares of one model."""
    return {"merged": merged([state for _, state in sorted(states.items())])}


def trees(estimator: str, steps: int) -> UnitSpec:
    """Three trees more in each step."""
    given = {"estimator": estimator, "trees_a_step": 3, "rows": rows_of(COLUMNS), "params": {**SEED, "max_depth": 4}}
    return UnitSpec(TREES, given, steps)


def epochs(estimator: str, steps: int, **params: Any) -> UnitSpec:
    """Some epochs more in each step."""
    given = {"estimator": estimator, "epochs_a_step": 5, "rows_a_batch": 500, "scale": True}
    return UnitSpec(EPOCHS, {**given, "rows": rows_of(COLUMNS), "params": params}, steps)


_KINDS = ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees")
_TREES = tuple(f"{kind}{task}" for kind in _KINDS for task in ("Classifier", "Regressor"))
_EPOCHS: Mapping[str, Mapping[str, Any]] = {
    "SGDClassifier": {**SEED, "loss": "log_loss", "average": True},
    "SGDRegressor": {**SEED, "learning_rate": "adaptive"},
    "MLPClassifier": {**SEED, "hidden_layer_sizes": [8]},
    "MLPRegressor": {**SEED, "hidden_layer_sizes": [8]},
    "GaussianNB": {},
}


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """By unit the metrics of each step, by model its predictions."""

    metrics: Mapping[str, list[dict[str, float]]]
    predictions: Mapping[str, bytes]


def undisturbed(kit: Kit, table: DatasetRef) -> Undisturbed:
    """All steps in this process, round by round, as nobody's death could change them."""
    with threadpool_limits(limits=1):
        units = {name: make_unit(unit.factory, unit.params) for name, unit in sorted(kit.units.items())}
        for unit in units.values():
            unit.start(table)
        metrics: dict[str, list[dict[str, float]]] = {name: [] for name in units}
        for number in range(1, max(unit.steps for unit in kit.units.values()) + 1):
            _round(number, kit, units, metrics)
        states = {name: unit.dump() for name, unit in units.items()}
    return Undisturbed(metrics, kit.predictions(states, table))


def _round(number: int, kit: Kit, units: Mapping[str, Unit], metrics: Mapping[str, list[dict[str, float]]]) -> None:
    """One step of each; members of a gang take up all that was done before."""
    states = [unit.dump() for unit in units.values()] if number > 1 and any(u.gang for u in kit.units.values()) else []
    for name, unit in units.items():
        join: Callable[[Sequence[bytes]], None] | None = getattr(unit, "join", None)
        if join is not None and states:
            join(states)
        if number <= kit.units[name].steps:
            metrics[name].append(dict(unit.step(number)))


def _asked(model: Any, features: Any) -> bytes:
    answer = getattr(model, "predict_proba", None) or model.predict
    return np.ascontiguousarray(answer(features)).tobytes()
