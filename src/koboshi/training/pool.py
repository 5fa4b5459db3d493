"""The seam to the machines: workers that do steps, and may die while they do."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from koboshi.errors import Corrupt, Permanent, Transient
from koboshi.training.run_state import Kind
from koboshi.training.worker import StepOrder, StepResult

# What is wrong in the code is wrong the next time, too.
_OF_THE_CODE = (AttributeError, ImportError, NameError, NotImplementedError, SyntaxError, TypeError)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker is warm."""

    worker: str
    pid: int
    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker is gone, or was ended because it was suspected, with whatever it was at."""

    worker: str
    reason: str
    kind: Kind = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StepDone:
    """A step was done; its checkpoint is not committed yet."""

    worker: str
    result: StepResult


@dataclasses.dataclass(frozen=True, slots=True)
class StepFailed:
    """A step raised; its worker lives."""

    worker: str
    reason: str
    kind: Kind = ""


PoolEvent = WorkerReady | WorkerDied | StepDone | StepFailed


class Pool(Protocol):
    """Workers that are started, given steps and waited for. A dead worker is reported, never restarted here."""

    @property
    def places(self) -> int:
        """How many workers may be at work at once here."""

    def grow(self) -> None:
        """Start one more worker; `WorkerReady` or `WorkerDied` will tell. Returns at once."""

    def begin(self, worker: str, order: StepOrder) -> None:
        """Give a step to an idle worker. Returns at once."""

    def end(self, worker: str) -> None:
        """End a worker for good; nothing more is told of it. Returns at once."""

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        """What happened since, at least one thing, or nothing when nothing did in time."""


def step_failed(worker: str, error: BaseException) -> StepFailed:
    """What it means that a step raised."""
    return StepFailed(worker, f"{type(error).__name__}: {error}", kind_of(error))


def kind_of(error: BaseException) -> Kind:
    """Whether an error may be gone the next time (a full disk), must come again, or was for lack of memory.

    Of bad bytes nobody knows: those of a state may have been made again by then.
    """
    if isinstance(error, Corrupt):
        return ""
    if isinstance(error, Transient):
        return "transient"
    if isinstance(error, MemoryError):
        return "memory"
    return "permanent" if isinstance(error, (Permanent, *_OF_THE_CODE)) else ""
