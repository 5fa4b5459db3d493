"""The seam to the machines: workers that do steps, and may die while they do."""

import dataclasses
from typing import Protocol

from koboshi.training.worker import StepOrder, StepResult


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker is warm."""

    worker: str
    pid: int
    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker is gone, with whatever it was at."""

    worker: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class StepDone:
    """A step was done; its checkpoint is not committed yet."""

    worker: str
    result: StepResult


@dataclasses.dataclass(frozen=True, slots=True)
class StepFailed:
    """A step raised; its worker lives. `again` if it was nothing of the step's own: a full disk, say."""

    worker: str
    reason: str
    again: bool = False


PoolEvent = WorkerReady | WorkerDied | StepDone | StepFailed


class Pool(Protocol):
    """Workers that are started, given steps and waited for. A dead worker is reported, never restarted here."""

    def grow(self) -> None:
        """Start one more worker; `WorkerReady` or `WorkerDied` will tell. Returns at once."""

    def begin(self, worker: str, order: StepOrder) -> None:
        """Give a step to an idle worker. Returns at once."""

    def next_event(self, timeout_s: float) -> PoolEvent | None:
        """What happened next, or None when nothing did in time."""

    def close(self) -> None:
        """End all workers."""
