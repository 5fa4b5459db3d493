"""How a run stands just now, for people: made, pure, from the driver's state and from what was seen of its workers."""

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Literal, Self

from koboshi.documents import load_json
from koboshi.errors import BadInput
from koboshi.heartbeat import Beat
from koboshi.names import one_part
from koboshi.training.driver.run_state import RunState

FORMAT_VERSION = 1

Place = Literal["done", "at work", "waiting", "held", "quarantined"]


@dataclasses.dataclass(frozen=True, slots=True)
class UnitStatus:
    """A unit: `done` steps are committed, `at_risk` more are in its worker's memory alone."""

    total: int
    done: int
    at_risk: int
    place: Place
    recovering: bool = False
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A warm worker, and the step that it was given (no unit: a warm spare).

    `state` is the kernel's letter for its process and `phase` what it says itself, both empty before its first beat.
    """

    name: str
    pid: int
    node: str
    state: str
    phase: str
    cpu_s: float
    silence_s: float | None
    phi: float
    unit: str = ""
    step: int = 0

    @classmethod
    def of(cls, name: str, pid: int, node: str, beat: Beat | None, silence_s: float | None, phi: float) -> Self:
        """A worker by its newest beat, how long that is ago, and φ; none before the first."""
        said = (beat.state, beat.doing.phase, beat.cpu_s) if beat else ("", "", 0.0)
        return cls(name, pid, node, *said, silence_s, phi)


@dataclasses.dataclass(frozen=True, slots=True)
class RunStatus:
    """A run under one driver, at a moment: `at_s` is seconds since 1970; `starting` counts workers not yet warm."""

    key: str
    job: str
    at_s: float
    starting: int
    units: dict[str, UnitStatus]
    workers: tuple[WorkerStatus, ...]

    @classmethod
    def of(cls, key: str, job: str, state: RunState, seen: Iterable[WorkerStatus], at_s: float) -> Self:
        """A run that has ended has no workers any more."""
        at_work = set(state.at.values())
        units = {name: _unit(state, name, at_work) for name in state.units}
        if state.finished:
            return cls(key, job, at_s, 0, units, ())
        return cls(key, job, at_s, state.starting, units, tuple(_worker(state, one) for one in seen))

    def to_json(self) -> str:
        """One JSON document."""
        return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote. Raises `BadInput` for another format, and for what is none."""
        try:
            fields: dict[str, Any] = load_json(text)
            if (found := fields.pop("format")) != FORMAT_VERSION:
                raise BadInput(f"a training's status has format {found}, this koboshi knows {FORMAT_VERSION}.")
            units = {name: UnitStatus(**unit) for name, unit in fields.pop("units").items()}
            workers = tuple(WorkerStatus(**worker) for worker in fields.pop("workers"))
            return cls(**fields, units=units, workers=workers)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput(f"a training's status cannot be read ({error}).") from error


def _unit(state: RunState, name: str, at_work: Collection[str]) -> UnitStatus:
    unit, poisoned = state.units[name], state.poisoned.get(name)
    places: dict[Place, bool] = {
        "quarantined": poisoned is not None,
        "done": unit.done == unit.total,
        "at work": name in at_work,
        "held": name in state.held,
    }
    place: Place = next((place for place, there in places.items() if there), "waiting")
    reason = f"step {poisoned.step}: {poisoned.reason}" if poisoned else ""
    return UnitStatus(unit.total, unit.done, unit.ahead, place, unit.recovering, reason)


def _worker(state: RunState, seen: WorkerStatus) -> WorkerStatus:
    unit = state.at.get(seen.name, "")
    return dataclasses.replace(seen, unit=unit, step=state.units[unit].next if unit else 0)


EVERY_S = 1.0


def status_path(state_dir: Path, key: str) -> Path:
    """Where the run with this key is shown."""
    return state_dir / "training" / one_part(f"{key[:16]}.json", "the training's key")


def unseen(_state: RunState) -> None:
    """Show nobody how a run stands."""


class StatusFile:
    """Replaced by a rename, so that a reader gets a whole one; not fsynced, for nothing is decided by it."""

    def __init__(
        self,
        path: Path,
        key: str,
        job: str,
        seen: Callable[[], Iterable[WorkerStatus]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seen` tells of the workers, whenever it is asked."""
        self._path, self._key, self._job, self._seen, self._now = path, key, job, seen, now
        self._due = float("-inf")

    def show(self, state: RunState) -> None:
        """Write how the run stands if it is time to, and in any case when it has ended. A full disk stops nobody."""
        if self._now() < self._due and not state.finished:
            return
        self._due = self._now() + EVERY_S
        status = RunStatus.of(self._key, self._job, state, self._seen(), time.time())
        with contextlib.suppress(OSError):
            self._write(status.to_json())

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.stem}.{os.getpid()}.part")
        try:
            temporary.write_text(text)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


def read_status(state_dir: Path, key: str) -> RunStatus | None:
    """What the newest driver of a run has shown last; None when nothing is there. Raises `BadInput`."""
    try:
        text = status_path(state_dir, key).read_text()
    except FileNotFoundError:
        return None
    status = RunStatus.from_json(text)
    return status if status.key == key else None
