"""The seam to the machines: workers that do steps, and may die while they do."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from koboshi.errors import Corrupt, Permanent, Transient
from koboshi.heartbeat import Beats, Suspicion, Watch, progress_limit_s
from koboshi.heartbeat.beat import DEAD
from koboshi.training.driver.run_state import Kind
from koboshi.training.driver.status import WorkerStatus
from koboshi.training.driver.worker import StepOrder, StepResult

# What is wrong in the code is wrong the next time, too.
_OF_THE_CODE = (AttributeError, ImportError, NameError, NotImplementedError, SyntaxError, TypeError)
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Kind], ...] = (
    (Corrupt, ""),  # of a checkpoint, not of the step
    (Transient, "transient"),
    (MemoryError, "memory"),
    ((Permanent, *_OF_THE_CODE), "permanent"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerWarm:
    """A worker is warm."""

    worker: str
    pid: int
    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker is gone, with whatever it was at; `cause` is what it was suspected of, if it was ended for that."""

    worker: str
    reason: str
    kind: Kind = ""
    cause: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StepReturned:
    """A step was done; its checkpoint is not committed yet."""

    worker: str
    result: StepResult


@dataclasses.dataclass(frozen=True, slots=True)
class StepRaised:
    """A step raised; its worker lives."""

    worker: str
    reason: str
    kind: Kind = ""


PoolEvent = WorkerWarm | WorkerGone | StepReturned | StepRaised


class Pool(Protocol):
    """Workers that are started, given steps and waited for. A dead worker is reported, never restarted here."""

    @property
    def places(self) -> int:
        """How many workers may be at work at once here."""

    def grow(self) -> None:
        """Start one more worker; `WorkerWarm` or `WorkerGone` will tell. Returns at once."""

    def begin(self, worker: str, order: StepOrder) -> None:
        """Give a step to an idle worker. Returns at once."""

    def end(self, worker: str) -> None:
        """End a worker for good; nothing more is told of it. Returns at once."""

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        """What happened since, at least one thing, or nothing when nothing did in time."""


def step_raised(worker: str, error: BaseException) -> StepRaised:
    """What it means that a step raised."""
    return StepRaised(worker, f"{type(error).__name__}: {error}", kind_of(error))


def kind_of(error: BaseException) -> Kind:
    """Whether an error may be gone the next time (a full disk), must come again, or was for lack of memory.

    Of bad bytes nobody knows: those of a state may have been made again by then.
    """
    return next((kind for errors, kind in _KINDS if isinstance(error, errors)), "")


LOOK_S = 0.1  # between two looks: a fifth of a beat
TOLD_S = 1.0  # within which the pool itself tells of a process that is gone, and knows best why


class SupervisedPool:
    """`pool`, whose workers beat to `beats`. Whoever is suspected is killed at once, by the process beside it.

    A worker that was ended and is heard again (its network was cut, say) is killed then; what it still brings is not
    waited for, and its driver alone commits.
    """

    def __init__(self, pool: Pool, beats: Beats, watch: Watch, now: Callable[[], float] = time.monotonic) -> None:
        self._pool, self.places, self._beats, self._watch, self._now = pool, pool.places, beats, watch, now
        self._longest_s: dict[str, float] = {}
        self._at: dict[str, str] = {}
        self._ended: set[str] = set()
        self._gone_since: dict[str, float] = {}
        self._ready: dict[str, WorkerWarm] = {}

    def grow(self) -> None:
        """Start a worker; it is watched from its first beat on."""
        self._pool.grow()

    def begin(self, worker: str, order: StepOrder) -> None:
        """Give a step; from now on the worker has to come to its end."""
        limit_s = progress_limit_s(order.spec.step_limit_s, self._longest_s.get(order.unit, 0.0))
        self._at[worker] = order.unit
        self._watch.began(worker, order.unit, order.step, limit_s, self._now())
        self._pool.begin(worker, order)

    def end(self, worker: str) -> None:
        """End a worker in both ways: Ray asks it, which a stopped process does not hear; the kernel does not ask."""
        self._watch.remove(worker)
        self._ready.pop(worker, None)
        self._ended.add(worker)
        self._beats.kill(worker)
        self._pool.end(worker)

    def seen(self) -> list[WorkerStatus]:
        """What is known of each warm worker just now, for people to look at."""
        now = self._now()
        return [
            WorkerStatus.of(name, ready.pid, ready.node, *self._watch.seen(name, now))
            for name, ready in self._ready.items()
        ]

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        """The pool's events and the deaths of those that were suspected."""
        until = self._now() + timeout_s
        while True:
            events = [*map(self._noted, self._pool.next_events(min(LOOK_S, timeout_s))), *self._looked()]
            if events or self._now() >= until:
                return events

    def _noted(self, event: PoolEvent) -> PoolEvent:
        match event:
            case WorkerWarm(worker):
                self._ready[worker] = event
                self._watch.add(worker)
            case WorkerGone(worker):
                self._ready.pop(worker, None)
                self._watch.remove(worker)
            case StepRaised(worker):
                self._watch.ended(worker)
            case StepReturned(worker, result):
                self._watch.ended(worker)
                unit = self._at[worker]
                self._longest_s[unit] = max(result.seconds, self._longest_s.get(unit, 0.0))
        return event

    def _looked(self) -> list[PoolEvent]:
        arrivals = self._beats.arrived()
        for worker in {arrival.beat.worker for arrival in arrivals if arrival.beat.state != DEAD} & self._ended:
            self._beats.kill(worker)
        suspicions = self._watch.look(arrivals, self._now())
        return [self._dead(suspicion) for suspicion in suspicions if not self._will_be_told(suspicion)]

    def _will_be_told(self, suspicion: Suspicion) -> bool:
        now = self._now()
        return suspicion.cause == "dead" and now - self._gone_since.setdefault(suspicion.worker, now) < TOLD_S

    def _dead(self, suspicion: Suspicion) -> WorkerGone:
        self.end(suspicion.worker)
        return WorkerGone(suspicion.worker, f"{suspicion.cause}: {suspicion.evidence}", cause=suspicion.cause)
