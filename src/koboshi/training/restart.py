"""Decides, pure: which worker does which step next, and what a death or a failure means. `driver.py` acts on it."""

import dataclasses
from collections.abc import Mapping
from typing import Self

TRIES = 4  # of one step; a unit that fails each time will go on failing
STILLBORN = 3  # workers in a row that died before they were warm
SPARES = 1  # warm workers that wait for a death: taking over costs no process start


@dataclasses.dataclass(frozen=True, slots=True)
class UnitState:
    """A unit: `done` is its newest committed step that verifies, `worker` who is at step `done + 1` just now."""

    total: int
    done: int = 0
    worker: str | None = None
    failures: int = 0
    recovering: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class RunState:
    """The whole run: `actors` is how many units may be at work at once."""

    actors: int
    units: Mapping[str, UnitState]
    idle: tuple[str, ...] = ()
    starting: int = 0
    stillborn: int = 0

    @property
    def finished(self) -> bool:
        """Whether each unit has done all its steps."""
        return all(unit.done == unit.total for unit in self.units.values())

    @property
    def busy(self) -> int:
        """How many workers are at a step."""
        return sum(unit.worker is not None for unit in self.units.values())

    def unit_of(self, worker: str) -> str | None:
        """What a worker is at."""
        return next((name for name, unit in self.units.items() if unit.worker == worker), None)

    def with_unit(self, name: str, unit: UnitState) -> Self:
        """The state with one unit changed."""
        return dataclasses.replace(self, units={**self.units, name: unit})


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """The driver holds the lease; no worker is there yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """A worker is warm."""

    worker: str


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """The step that a worker was at is committed."""

    worker: str


@dataclasses.dataclass(frozen=True, slots=True)
class Interrupted:
    """A step came to nothing: its worker died, or the step raised. `done` is where the unit can go on from.

    `again` says that the reason is none of the step's own, and may be gone later.
    """

    worker: str
    done: int
    alive: bool
    reason: str
    again: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """A worker died that was at no step: before it was warm, or idle."""

    worker: str
    reason: str


Event = Begun | Ready | Committed | Interrupted | Lost


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Let `worker` do step `step` of `unit`; `fresh` if it does not have the step before at hand."""

    worker: str
    unit: str
    step: int
    fresh: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Grow:
    """Start one more worker, in the background."""


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop the run; `again` says whether another attempt may help."""

    reason: str
    again: bool


Action = Order | Grow | GiveUp


def decide_restart(state: RunState, event: Event) -> tuple[RunState, tuple[Action, ...]]:
    """What follows from an event: the new state, and what the driver has to do now, in this order."""
    state, first = _apply(state, event)
    if stop := _hopeless(state, event):
        return state, (stop,)
    state, orders = _give_out(state)
    state, grown = _grow(state)
    return state, (*first, *orders, *grown)


def _apply(state: RunState, event: Event) -> tuple[RunState, tuple[Action, ...]]:
    match event:
        case Ready(worker):
            starting = max(0, state.starting - 1)
            return dataclasses.replace(state, idle=(*state.idle, worker), starting=starting, stillborn=0), ()
        case Lost(worker) if worker in state.idle:
            return dataclasses.replace(state, idle=tuple(w for w in state.idle if w != worker)), ()
        case Lost():
            starting = max(0, state.starting - 1)
            return dataclasses.replace(state, starting=starting, stillborn=state.stillborn + 1), ()
        case Committed(worker):
            return _committed(state, worker)
        case Interrupted():
            return _interrupted(state, event), ()
        case Begun():
            return state, ()


def _committed(state: RunState, worker: str) -> tuple[RunState, tuple[Action, ...]]:
    """A worker stays with its unit to the end: what it has in memory need not be read back."""
    name = state.unit_of(worker)
    if name is None:
        return state, ()
    unit = state.units[name]
    unit = UnitState(unit.total, unit.done + 1, worker)
    if unit.done < unit.total:
        return state.with_unit(name, unit), (Order(worker, name, unit.done + 1, fresh=False),)
    state = state.with_unit(name, dataclasses.replace(unit, worker=None))
    return dataclasses.replace(state, idle=(*state.idle, worker)), ()


def _interrupted(state: RunState, event: Interrupted) -> RunState:
    name = state.unit_of(event.worker)
    if name is None:
        return state
    unit = state.units[name]
    state = state.with_unit(name, UnitState(unit.total, event.done, None, unit.failures + 1, recovering=True))
    return dataclasses.replace(state, idle=(*state.idle, event.worker)) if event.alive else state


def _hopeless(state: RunState, event: Event) -> GiveUp | None:
    reason, again = getattr(event, "reason", ""), getattr(event, "again", False)
    for name, unit in state.units.items():
        if unit.failures >= TRIES:
            return GiveUp(f"step {unit.done + 1} of {name} failed {TRIES} times, last because {reason}", again)
    if state.stillborn >= STILLBORN:
        return GiveUp(f"{STILLBORN} workers in a row died before they were ready, last because {reason}", again=True)
    return None


def _give_out(state: RunState) -> tuple[RunState, tuple[Action, ...]]:
    """Idle workers take waiting units, interrupted ones first, as long as no more than `actors` are at work."""
    orders: list[Action] = []
    waiting = [name for name, unit in state.units.items() if unit.worker is None and unit.done < unit.total]
    waiting.sort(key=lambda name: not state.units[name].recovering)
    for name in waiting:
        if not state.idle or state.busy >= state.actors:
            break
        worker, *others = state.idle
        unit = dataclasses.replace(state.units[name], worker=worker)
        state = dataclasses.replace(state.with_unit(name, unit), idle=tuple(others))
        orders.append(Order(worker, name, unit.done + 1, fresh=True))
    return state, tuple(orders)


def _grow(state: RunState) -> tuple[RunState, tuple[Action, ...]]:
    """Replace the dead, but never while a unit is recovering on a spare: a starting process would slow it down."""
    recovering = any(unit.recovering and unit.worker is not None for unit in state.units.values())
    missing = state.actors + SPARES - state.busy - len(state.idle) - state.starting
    if state.finished or recovering or missing <= 0:
        return state, ()
    return dataclasses.replace(state, starting=state.starting + missing), (Grow(),) * missing
