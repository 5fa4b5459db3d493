"""ray-worker-stopped: SIGSTOP of a training actor in the middle of a step."""

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import stop
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment


def stop_the_worker(environment: TrainingEnvironment) -> list[Injection | None]:
    """SIGSTOP to the actor that is at the victim's middle step."""
    return environment.in_the_middle(
        lambda caught: stop(environment.doing, [caught.process.pid], str(caught)), silences=True
    )


DRILL: Drill[TrainingEnvironment] = Drill(
    name="ray-worker-stopped",
    claim="A worker that is stopped in the middle of a step is missed, ended and replaced, and the training ends with "
    "the undisturbed models.",
    fault="SIGSTOP of the actor in the middle of a step",
    layer="training",
    environment=TrainingEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=stop_the_worker,
    within_s=120,
    verdict=(
        checks.the_silent_one_is_gone,
        checks.nobody_else_was_ended,
        checks.went_on_from_the_committed_step,
        checks.predictions_equal_the_control,
    ),
)
