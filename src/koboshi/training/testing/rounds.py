"""All shares of one model as one unit, whose step is a round: so that the contract suite can check a gang."""

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, cast

from koboshi.errors import BadInput
from koboshi.refs import DatasetRef
from koboshi.training.spec import UnitSpec
from koboshi.training.unit import GangUnit, make_unit


def in_rounds(shares: Mapping[str, UnitSpec]) -> UnitSpec:
    """A unit of all shares, in the order of their names; for `contract_of` and `check_unit`.

    Raises `BadInput` for shares that do not go together: of different gangs, or of different numbers of steps.
    """
    if len(kinds := {(spec.steps, spec.gang) for spec in shares.values()}) != 1:
        raise BadInput(f"shares of one model have one number of steps and one gang, and these have {sorted(kinds)}.")
    ((steps, gang),) = kinds
    specs = {name: dataclasses.asdict(spec) for name, spec in sorted(shares.items())}
    return UnitSpec(f"{__name__}:rounds", {"shares": specs, "gang": bool(gang)}, steps)


def rounds(shares: Mapping[str, Mapping[str, Any]], gang: bool) -> "Rounds":
    """The factory that `in_rounds` names."""
    units = {name: make_unit(spec["factory"], spec["params"]) for name, spec in shares.items()}
    return Rounds(cast("Mapping[str, GangUnit]", units), gang=gang)


class Rounds:
    """A `koboshi.training.Unit` of units, which join each other's states before each step but the first."""

    def __init__(self, units: Mapping[str, GangUnit], *, gang: bool) -> None:
        self._units, self._gang = units, gang
        self._states: Sequence[bytes] = ()

    def start(self, table: DatasetRef) -> None:
        """Start all shares."""
        for unit in self._units.values():
            unit.start(table)

    def step(self, number: int) -> Mapping[str, float]:
        """One step of every share."""
        if self._gang and self._states:
            for unit in self._units.values():
                unit.join(self._states)
        told = {name: unit.step(number) for name, unit in self._units.items()}
        self._states = [unit.dump() for unit in self._units.values()]
        return {f"{name} {metric}": value for name, metrics in told.items() for metric, value in metrics.items()}

    def dump(self) -> bytes:
        """The shares' states."""
        return pickle.dumps(list(self._states), protocol=5)

    def load(self, state: bytes) -> None:
        """Take up all shares; in a gang the next step joins them anyhow."""
        self._states = pickle.loads(state)
        if not self._gang:
            for unit, own in zip(self._units.values(), self._states, strict=True):
                unit.load(own)
