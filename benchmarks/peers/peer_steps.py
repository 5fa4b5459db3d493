"""A peer's worker: the steps of the specification's unit, written down as koboshi's workers write theirs."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from koboshi.events import Event, JobBegan, StepStarted
from koboshi.files import publish_bytes
from koboshi.journal import Journal
from koboshi.training import TrainingSpec
from koboshi.training.spec import make_unit

STATE = "state.pkl"


class StepCommitted(Event, name="step committed"):
    """A peer's step counts from now on, as whoever made its checkpoint says."""

    step: int


class LoopBegan(Event, name="loop began"):
    """The steps of a unit begin, one after another."""

    unit: str
    pid: int


class LoopEnded(Event, name="loop ended"):
    """The last step of a unit is done."""

    unit: str


def read_order() -> TrainingSpec:
    """The specification that the job was given."""
    return TrainingSpec.from_json(Path(sys.argv[1]).read_text())


def begin(spec: TrainingSpec) -> None:
    """Write down which process drives the job."""
    Journal(spec.place.journal).emit(JobBegan(job=sys.argv[2], pid=os.getpid()))


class PeerSteps:
    """One unit, standing after step `done`."""

    def __init__(self, spec: TrainingSpec) -> None:
        (unit,) = spec.units.values()
        self.total, self.done = unit.steps, 0
        self._journal = Journal(spec.place.journal)
        self._unit = make_unit(unit.factory, unit.params)
        self._unit.start(spec.table)

    def step(self) -> dict[str, float]:
        """Do the next step; it counts once `committed` says so."""
        self._journal.emit(StepStarted(step=self.done + 1, pid=os.getpid()))
        metrics = dict(self._unit.step(self.done + 1))
        self.done += 1
        return metrics

    def committed(self) -> None:
        """The newest step's checkpoint is kept: whoever made it says so, with the wall clock."""
        self._journal.emit(StepCommitted(step=self.done))

    def save(self, folder: Path) -> None:
        """A checkpoint by hand: temporary file, fsync, rename, the step's number with it."""
        publish_bytes(folder / STATE, json.dumps(self.done).encode() + b"\n" + self._unit.dump())

    def take_up(self, folder: Path) -> None:
        """Go on from the checkpoint that is there, if there is one."""
        if (folder / STATE).exists():
            number, _, state = (folder / STATE).read_bytes().partition(b"\n")
            self.done = json.loads(number)
            self._unit.load(state)


def final_state(folder: Path) -> bytes:
    """The state in the newest checkpoint below a folder, whatever the peer calls its own folders."""
    newest = max(folder.rglob(STATE), key=_step_of)
    return newest.read_bytes().partition(b"\n")[2]


def _step_of(path: Path) -> Any:
    return json.loads(path.read_bytes().partition(b"\n")[0])
