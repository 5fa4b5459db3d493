"""What a training comes to when nothing happens to it: all its steps in this process, one after another."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from koboshi.formats.manifest import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.data_parallel import merged
from koboshi.training.pandas_rows import views
from koboshi.training.sklearn_units import fitted_model
from koboshi.training.spec import Unit, make_unit

States = Mapping[str, bytes]


@dataclasses.dataclass(frozen=True)
class Kit:
    """Units that are trained together; `models` makes of their final states what is asked about the `rows`."""

    name: str
    units: Mapping[str, UnitSpec]
    models: Callable[[States], Mapping[str, Any]]
    rows: Mapping[str, Any]

    def predictions(self, states: States, table: DatasetRef) -> dict[str, bytes]:
        """Every model's predictions for all rows, to be compared bit by bit."""
        features = views(table, self.rows).learn.features
        with threadpool_limits(limits=1):
            return {name: _asked(model, features) for name, model in self.models(states).items()}


def separate(states: States) -> Mapping[str, Any]:
    """Each unit is a model."""
    return {name: fitted_model(state) for name, state in states.items()}


def together(states: States) -> Mapping[str, Any]:
    """All units are shares of one model."""
    return {"merged": merged([state for _, state in sorted(states.items())])}


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
