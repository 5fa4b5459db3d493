"""The state of a run, and the small values that go in and out of `restart.decide_restart`."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, Self

Kind = Literal["", "transient", "permanent", "memory"]  # why a step came to nothing, as far as it is known


@dataclasses.dataclass(frozen=True, slots=True)
class UnitState:
    """A unit: `done` is its newest committed step that verifies, `seconds` what its newest steps took.

    `ahead` is how many steps more its worker has done, whose states are in memory alone: a death costs them.
    `failures` counts those of the step that is next, `memory_failures` those of them that were for lack of memory.
    """

    total: int
    done: int = 0
    ahead: int = 0
    failures: int = 0
    memory_failures: int = 0
    recovering: bool = False
    seconds: tuple[float, ...] = ()

    @property
    def next(self) -> int:
        """The step that comes next, where all that was done before is at hand."""
        return self.done + self.ahead + 1


@dataclasses.dataclass(frozen=True, slots=True)
class Poisoned:
    """A unit that was quarantined: its next step came to nothing each time. `again` if a later run may fare better."""

    step: int
    reason: str
    again: bool


@dataclasses.dataclass(frozen=True, slots=True)
class RunState:
    """The whole run: `actors` is how many units may be at work at once.

    Each unit with steps left is in one of four places: `waiting` (interrupted ones first), `at` (by the worker that
    is at its step `done + 1`), `held` (until others of its gang have done their step), or `poisoned`. So no decision
    looks through all the units. `gangs` has all members of each member's gang; `at_hand` says which unit of a gang an
    idle worker still has in memory.
    """

    actors: int
    units: Mapping[str, UnitState]
    waiting: tuple[str, ...] = ()
    at: Mapping[str, str] = dataclasses.field(default_factory=dict)
    poisoned: Mapping[str, Poisoned] = dataclasses.field(default_factory=dict)
    idle: tuple[str, ...] = ()
    starting: int = 0
    stillborn: int = 0
    gangs: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    held: frozenset[str] = frozenset()
    at_hand: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, actors: int, units: Mapping[str, UnitState], gangs: Mapping[str, tuple[str, ...]] | None = None
    ) -> Self:
        """A run in which nobody is at work yet."""
        gangs = gangs or {}
        left = [name for name, unit in units.items() if unit.done < unit.total]
        held = frozenset(m for m in left if units[m].done > min(units[other].done for other in gangs.get(m, (m,))))
        return cls(actors, units, tuple(name for name in left if name not in held), gangs=gangs, held=held)

    @property
    def finished(self) -> bool:
        """Whether each unit has done all its steps, or is quarantined."""
        return not self.waiting and not self.at and not self.held

    def with_unit(self, name: str, unit: UnitState) -> Self:
        """The state with one unit changed."""
        return dataclasses.replace(self, units={**self.units, name: unit})

    def without(self, worker: str) -> Self:
        """The state in which a worker is at nothing."""
        return dataclasses.replace(self, at={w: unit for w, unit in self.at.items() if w != worker})


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """The driver holds the lease; no worker is there yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """A worker is warm."""

    worker: str


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """The step that a worker was at is done, and took `seconds`; all but the unit's newest `at_risk` are committed."""

    worker: str
    seconds: float = 0.0
    at_risk: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Interrupted:
    """A step came to nothing: its worker died, or the step raised. `done` is where the unit can go on from.

    `fell` has other members of its gang that have to go back, too: a state that they had committed is bad.
    """

    worker: str
    done: int
    alive: bool
    reason: str
    kind: Kind = ""
    fell: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """A worker died that was at no step: before it was warm, or idle."""

    worker: str
    reason: str


Input = Begun | Ready | Committed | Interrupted | Lost


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Let `worker` do step `step` of `unit`."""

    worker: str
    unit: str
    step: int


@dataclasses.dataclass(frozen=True, slots=True)
class Grow:
    """Start one more worker, in the background."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retire:
    """End a worker that is of no use any more; `unit` goes on without it."""

    worker: str
    unit: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Quarantine:
    """Try this unit no more; the others go on."""

    unit: str
    poisoned: Poisoned


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop the run: there is nobody to do the work; another attempt may fare better."""

    reason: str


Action = Order | Grow | Retire | Quarantine | GiveUp
Decided = tuple[RunState, tuple[Action, ...]]
