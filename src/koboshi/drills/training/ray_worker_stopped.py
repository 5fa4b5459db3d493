"""ray-worker-stopped: SIGSTOP of a training actor in the middle of a step."""

from collections.abc import Sequence

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import resume, stop
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment

END_S = 120.0


class StoppedWorkerEnvironment(TrainingEnvironment):
    """A training whose worker is stopped (SIGSTOP); afterwards nothing of it is left stopped."""

    _stopped: Sequence[int] = ()

    def stop_the_worker(self) -> list[Injection | None]:
        """SIGSTOP to the actor that is at the victim's middle step."""
        caught = self.catch()
        if caught is None:
            return []
        self._stopped = [caught.process.pid]
        return [stop(self.doing, self._stopped, str(caught))]

    def close(self, *, keep_files: bool) -> None:
        """Let a worker that nobody has ended go on, and the training come to its end."""
        resume(self._stopped)
        self.wait_for_its_end(END_S)
        super().close(keep_files=keep_files)


DRILL: Drill[StoppedWorkerEnvironment] = Drill(
    name="ray-worker-stopped",
    claim="A worker that is stopped in the middle of a step is missed, ended and replaced, and the training ends with "
    "the undisturbed models.",
    fault="SIGSTOP of the actor in the middle of a step",
    layer="training",
    environment=StoppedWorkerEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=StoppedWorkerEnvironment.stop_the_worker,
    within_s=120,
    verdict=(
        checks.the_silent_one_is_gone,
        checks.nobody_else_was_ended,
        checks.went_on_from_the_committed_step,
        checks.predictions_equal_the_control,
    ),
)
