"""One step of one unit: resume, step, checkpoint file. A worker decides nothing and commits nothing."""

import dataclasses
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from koboshi.errors import BadInput
from koboshi.files import publish, verified_bytes
from koboshi.heartbeat.beat import Address, Doing
from koboshi.heartbeat.companion import Companion
from koboshi.journal import Journal
from koboshi.refs import CheckpointRef, DatasetRef
from koboshi.training.spec import UnitSpec
from koboshi.training.unit import GangUnit, Unit, make_unit

FORMAT_VERSION = 1  # of a checkpoint: the unit's own state, byte by byte


@dataclasses.dataclass(frozen=True, slots=True)
class StepOrder:
    """Do step `step` of a unit, going on from `resume` (None: from the start). Paths are absolute.

    In a gang `peers` has the states of all members after the step before, in the order of their names.
    """

    run_key: str
    unit: str
    spec: UnitSpec
    table: DatasetRef
    step: int
    resume: CheckpointRef | None
    store: str
    journal: str
    peers: tuple[CheckpointRef, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class StepResult:
    """A step that was done: its checkpoint file is on disk, and counts once the driver has committed it."""

    checkpoint: CheckpointRef
    metrics: Mapping[str, float]
    seconds: float


class UnitWorker:
    """Keeps the unit that it worked on last, so that an unbroken run never reads its checkpoints back."""

    def __init__(
        self, factories: Iterable[str], name: str = "", beats: Address | None = None, interval_s: float = 0.5
    ) -> None:
        """Beat from now on, if somebody listens; be warm: import what the factories need, before it is needed."""
        self._companion = Companion(name, beats, interval_s) if beats else None
        for factory in factories:
            __import__(factory.partition(":")[0])
        self._unit: Unit | None = None
        self._done: tuple[str, str, int] | None = None

    def hello(self) -> int:
        """The process's id, as soon as the worker is warm."""
        return os.getpid()

    def run_step(self, order: StepOrder) -> StepResult:
        """Do one step and write its checkpoint.

        Under a crash: the checkpoint's final name holds the whole file or does not exist; nothing counts before the
        driver's commit. An exception leaves the worker without a unit, so that no half-done state is ever continued.
        """
        unit = self._continued(order)
        self._unit, self._done = None, None
        Journal(Path(order.journal)).record("step started", **_names(order), pid=os.getpid())
        self._tell(Doing(order.unit, order.step, "step"))
        began = time.monotonic()
        metrics = {name: float(value) for name, value in unit.step(order.step).items()}
        self._tell(Doing(order.unit, order.step, "checkpoint"))
        checkpoint = _write(order, unit.dump())
        self._tell(Doing())
        self._unit, self._done = unit, (order.run_key, order.unit, order.step)
        return StepResult(checkpoint, metrics, time.monotonic() - began)

    def _tell(self, doing: Doing) -> None:
        if self._companion is not None:
            self._companion.tell(doing)

    def _continued(self, order: StepOrder) -> Unit:
        """The unit as it stands before the step: at hand from the step before, or taken up from the checkpoint."""
        unit = self._unit
        if unit is None or self._done != (order.run_key, order.unit, order.step - 1):
            unit = self._taken_up(order)
        if order.peers:
            states = [read_checkpoint(Path(order.store), peer) for peer in order.peers]
            cast(GangUnit, unit).join(states)
        return unit

    def _taken_up(self, order: StepOrder) -> Unit:
        unit = make_unit(order.spec.factory, order.spec.params)
        unit.start(order.table)
        if order.resume is not None and not order.peers:
            unit.load(read_checkpoint(Path(order.store), order.resume))
        return unit


def read_checkpoint(store: Path, checkpoint: CheckpointRef) -> bytes:
    """The bytes of a checkpoint, checked; raises `Corrupt`, and `BadInput` for a newer format."""
    if (version := format_version(checkpoint.path)) > FORMAT_VERSION:
        path = store / checkpoint.path
        raise BadInput(f"checkpoint {path} has format {version}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
    repair = "run the training again, it goes on from the step before"
    return verified_bytes(store / checkpoint.path, checkpoint.sha256, "checkpoint", repair)


def format_version(path: str) -> int:
    """The format that a checkpoint's name tells; the first names told none."""
    found = re.search(r"\.v(\d+)\.ckpt$", path)
    return int(found[1]) if found else 1


def _write(order: StepOrder, state: bytes) -> CheckpointRef:
    """The file's name carries step, digest and format: two writers of one step never touch each other's file."""
    folder = Path(order.run_key[:16]) / order.unit

    def write(temporary: Path) -> None:
        temporary.write_bytes(state)

    name = f"{order.step:04d}-{{:.16}}.v{FORMAT_VERSION}.ckpt"
    written = publish(Path(order.store) / folder, name.format, write)
    return CheckpointRef(order.run_key, order.unit, order.step, str(folder / written.path.name), written.sha256)


def _names(order: StepOrder) -> dict[str, str | int]:
    return {"run": order.run_key, "unit": order.unit, "step": order.step}
