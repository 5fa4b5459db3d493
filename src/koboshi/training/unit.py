"""A unit: something that learns in steps and can be put down and taken up again between any two of them."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from koboshi.names import resolve
from koboshi.refs import DatasetRef


class Unit(Protocol):
    """What a candidate implements; a factory makes it from its parameters (JSON values).

    The promise that all recovery rests on, checked by tests/contracts/test_unit.py for each candidate: for every k,
    `start`, `load` of what was dumped after step k, and the steps that are left, give the same predictions bit by bit
    as the steps without a break. So a step may draw on nothing but the table, the parameters, the state and its number.
    """

    def start(self, table: DatasetRef) -> None:
        """Read the table (`path` is absolute here, and the reader checks the manifest) and stand before step 1."""

    def step(self, number: int) -> Mapping[str, float]:
        """Do step `number` (1 is the first) and return its metrics."""

    def dump(self) -> bytes:
        """The state after the newest step."""

    def load(self, state: bytes) -> None:
        """Take up the state that `dump` gave; called after `start`."""


class GangUnit(Unit, Protocol):
    """A unit that does each step together with the other members of its gang (`UnitSpec.gang`)."""

    def join(self, states: Sequence[bytes]) -> None:
        """Stand before the next step, with what every member of the gang dumped after the step before.

        Called after `start`, instead of `load`, and before every step but the first; also on a unit that did the step
        before itself. The states come in the order of the members' names, this unit's own among them.
        """


def make_unit(factory: str, params: Mapping[str, Any]) -> Unit:
    """Import `package.module:name` and call it with the parameters."""
    unit: Unit = resolve(factory, "unit factory")(**params)
    return unit


def warm_up(module: str) -> None:
    """Import a module of factories in a process that may have to take over, and call its `warm_up()` if it has one.

    There belongs what each process does once, and would do in the first step after a recovery: imports that a library
    puts off, a compiler, a device. It decides nothing; a unit that was not warmed up is the same, later.
    """
    getattr(importlib.import_module(module), "warm_up", lambda: None)()
