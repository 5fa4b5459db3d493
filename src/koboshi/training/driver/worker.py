"""One step of one unit: resume, step, checkpoint file. A worker decides nothing and commits nothing."""

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

from koboshi.errors import Unavailable
from koboshi.events import StepStarted
from koboshi.formats.manifest import DatasetRef
from koboshi.heartbeat.beat import Address, Doing
from koboshi.heartbeat.beat_sender import Companion
from koboshi.journal import Journal
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints import CheckpointWriter, Saved, read_checkpoint, store_at, write_checkpoint
from koboshi.training.spec import GangUnit, Unit, UnitSpec, make_unit, warm_up

# A checkpoint that usually takes longer, in seconds or as a share of its step, is written beside the next step.
BESIDE_S, BESIDE_SHARE = 0.05, 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class StepOrder:
    """Do step `step` of a unit, going on from `resume` (None: from the start). Paths are absolute.

    In a gang `peers` has the states of all members after the step before, in the order of their names.

    `store` is the URL of the checkpoint store, or its folder.
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
    """A step that was done; it counts once the driver has committed a checkpoint of it, or of a later one.

    `checkpoint` is the unit's newest state that is durable, if it was not told of before: of this step, or of one
    before while this one's is still being written. `at_risk` is how many of the newest steps are in memory alone,
    and `trouble` why, unless the store is just at it.
    """

    checkpoint: CheckpointRef | None
    metrics: Mapping[str, float]
    seconds: float
    at_risk: int = 0
    trouble: str = ""


class UnitWorker:
    """Keeps the unit that it worked on last, so that an unbroken run never reads its checkpoints back."""

    def __init__(
        self, factories: Iterable[str], name: str = "", beats: Address | None = None, interval_s: float = 0.5
    ) -> None:
        """Beat from now on, if somebody listens; be warm: all that a process does once is done before it is needed."""
        self._tell = Companion(name, beats, interval_s).tell if beats else lambda _doing: None
        for module in sorted({factory.partition(":")[0] for factory in factories}):
            warm_up(module)
        self._unit: Unit | None = None
        self._done: tuple[str, str, int] | None = None
        self._writer = CheckpointWriter()

    def hello(self) -> int:
        """The process's id, as soon as the worker is warm."""
        return os.getpid()

    def run_step(self, order: StepOrder) -> StepResult:
        """Do one step and bring its checkpoint on its way; until the store has it, the state is in memory alone.

        Under a crash: the checkpoint's final name holds the whole file or does not exist; nothing counts before the
        driver's commit. An exception leaves the worker without a unit, so that no half-done state is ever continued.
        """
        unit = self._continued(order)
        self._unit, self._done = None, None
        Journal(Path(order.journal)).emit(
            StepStarted(run=order.run_key, unit=order.unit, step=order.step, pid=os.getpid())
        )
        self._tell(Doing(order.unit, order.step, "step"))
        began = time.monotonic()
        metrics = {name: float(value) for name, value in unit.step(order.step).items()}
        self._tell(Doing(order.unit, order.step, "checkpoint"))
        saved = self._saved(order, unit, max(BESIDE_S, BESIDE_SHARE * (time.monotonic() - began)))
        self._tell(Doing())
        self._unit, self._done = unit, (order.run_key, order.unit, order.step)
        return StepResult(saved.checkpoint, metrics, time.monotonic() - began, saved.at_risk, saved.trouble)

    def _saved(self, order: StepOrder, unit: Unit, worth_s: float) -> Saved:
        """The last step's state has to be durable, and any of a gang's, since the others go on from it."""
        needed = order.step == order.spec.steps or bool(order.spec.gang)
        write = partial(write_checkpoint, order.store, order.run_key, order.unit, order.step)
        saved = self._writer.save(order.step, unit.dump, write, worth_s=worth_s, last=needed)
        if needed and saved.at_risk:
            raise Unavailable(f"step {order.step} of {order.unit} has no checkpoint: {saved.trouble}")
        return saved

    def _continued(self, order: StepOrder) -> Unit:
        """The unit as it stands before the step: at hand from the step before, or taken up from the checkpoint."""
        unit = self._unit
        if unit is None or self._done != (order.run_key, order.unit, order.step - 1):
            unit = self._taken_up(order)
        if order.peers:
            cast(GangUnit, unit).join([read_checkpoint(order.store, peer) for peer in order.peers])
        return unit

    def _taken_up(self, order: StepOrder) -> Unit:
        store_at(order.store)  # opened now, its first write should not wait for imports
        unit = make_unit(order.spec.factory, order.spec.params)
        unit.start(order.table)
        self._writer.take_up(order.resume.step if order.resume else 0)
        if order.resume is not None and not order.peers:
            unit.load(read_checkpoint(order.store, order.resume))
        return unit
