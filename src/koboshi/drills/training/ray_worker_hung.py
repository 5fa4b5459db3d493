"""ray-worker-hung: a step that never ends, in C, while its worker beats on."""

import time
from collections.abc import Mapping
from pathlib import Path

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import Caught
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.training import UnitSpec

HANGING = "koboshi.drills.training.hanging_unit:Hanging"
STEP_LIMIT_S = 45.0
LONG_STEP_S = 5.0  # of processor time, in one call in C: long, and none the less legitimate
BURNT_S = 0.5  # of processor time, without a sign of an end


class HungWorkerEnvironment(TrainingEnvironment):
    """A training in which the victim's middle step never ends, the first time, while another unit has a long one.

    Both hold the interpreter in a call in C. Only the victim's worker may be taken for hung.
    """

    def _trained(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """The controls are undisturbed; of the units the first hangs, and the second takes long."""
        (victim, first), (patient, second), *_ = units.items()
        hung = self._slowed(first, str(self._once), 0.0)
        return {**super()._trained(units), victim: hung, patient: self._slowed(second, "", LONG_STEP_S)}

    @property
    def _once(self) -> Path:
        """Is there, with the process that hangs, as soon as the step hangs."""
        return self.folder / "hung-once"

    def _slowed(self, unit: UnitSpec, once: str, busy_s: float) -> UnitSpec:
        at = {"at": unit.steps // 2 + 1, "once": once, "busy_s": busy_s}
        params = {"factory": unit.factory, "params": unit.params, **at}
        return UnitSpec(HANGING, params, unit.steps, STEP_LIMIT_S)

    def let_it_hang(self) -> list[Injection | None]:
        """The step hangs by itself: seen when it has burnt processor time, and is at the same call."""
        return self.in_the_middle(self._hung, BURNT_S, silences=True)

    def _hung(self, caught: Caught) -> Injection | None:
        """It hangs since the moment at which the unit noted its process; None when that was another one."""
        if not self._once.exists() or int(self._once.read_text()) != caught.process.pid:
            return None
        since_s = time.time() - self._once.stat().st_mtime
        at_s, at_monotonic = time.time() - since_s, time.monotonic() - since_s
        pid = caught.process.pid
        return Injection("an endless loop in C", self.doing, at_s, at_monotonic, not self.over, pid, str(caught))


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
