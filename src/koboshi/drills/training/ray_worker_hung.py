"""ray-worker-hung: a step that never ends, in C, while its worker beats on."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import kill
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.events import Sink
from koboshi.settings import Settings
from koboshi.training import UnitSpec

HANGING = "koboshi.drills.training.hanging_unit:Hanging"
STEP_LIMIT_S = 45.0
LONG_STEP_S = 5.0  # of processor time, in one call in C: long, and none the less legitimate
BURNT_S = 0.5  # of processor time, without a sign of an end
END_S = 120.0
POLL_S = 0.05


class HungWorkerEnvironment(TrainingEnvironment):
    """A training in which the victim's middle step never ends, the first time, while another unit has a long one.

    Both hold the interpreter in a call in C. Only the victim's worker may be taken for hung.
    """

    _hung: Sequence[int] = ()

    def __init__(self, settings: Settings, emit: Sink, job: Path | None = None) -> None:
        """Nothing is done yet."""
        super().__init__(settings, emit, job)
        self._once = self.folder / "hung-once"

    def _doubled(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """The controls are undisturbed; of the units the first hangs, and the second takes long."""
        (victim, first), (patient, second), *others = units.items()
        hung = self._slowed(first, first.steps // 2 + 1, str(self._once), 0.0)
        long = self._slowed(second, second.steps // 2 + 1, "", LONG_STEP_S)
        return {**super()._doubled({victim: first, patient: second, **dict(others)}), victim: hung, patient: long}

    def _slowed(self, unit: UnitSpec, step: int, once: str, busy_s: float) -> UnitSpec:
        params = {"factory": unit.factory, "params": unit.params, "at": step, "once": once, "busy_s": busy_s}
        return UnitSpec(HANGING, params, unit.steps, STEP_LIMIT_S)

    def let_it_hang(self) -> list[Injection]:
        """The moment at which the step hangs: it has burnt processor time, and is at the same call."""
        while not self._once.exists():
            if self.over:
                return []
            time.sleep(POLL_S)
        process, at_s, at = psutil.Process(int(self._once.read_text())), time.time(), time.monotonic()
        self._hung, before = [process.pid], _cpu_s(process)
        while _cpu_s(process) - before < BURNT_S and time.monotonic() < at + END_S:
            time.sleep(POLL_S)
        took = _cpu_s(process) - before >= BURNT_S and not self.over
        return [Injection("an endless loop in C", self.doing, at_s, at, took, process.pid)]

    def close(self, *, keep_files: bool) -> None:
        """End a worker that nobody has ended: it would never come to an end."""
        if self._hung:
            kill(self.doing, self._hung)
        self.wait_for_its_end(END_S)
        super().close(keep_files=keep_files)


def _cpu_s(process: psutil.Process) -> float:
    try:
        return float(process.cpu_times().user)
    except psutil.Error:
        return 0.0


DRILL: Drill[HungWorkerEnvironment] = Drill(
    name="ray-worker-hung",
    claim="A worker that beats but makes no progress is ended and replaced after its step's limit, one with a long "
    "step is left alone, and the training ends with the undisturbed models.",
    fault="an endless loop in C in the middle of a step",
    layer="training",
    environment=HungWorkerEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=HungWorkerEnvironment.let_it_hang,
    within_s=180,
    verdict=(
        checks.the_silent_one_is_gone,
        checks.nobody_else_was_ended,
        checks.went_on_from_the_committed_step,
        checks.predictions_equal_the_control,
    ),
)
