"""ray-worker-killed: SIGKILL of a training actor in the middle of a step."""

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import kill
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment


def kill_the_worker(environment: TrainingEnvironment) -> list[Injection | None]:
    """SIGKILL to the actor that is at the victim's middle step, one of this run's own processes."""
    return environment.in_the_middle(lambda caught: kill(environment.doing, [caught.process.pid], str(caught)))


DRILL: Drill[TrainingEnvironment] = Drill(
    name="ray-worker-killed",
    claim="A training goes on from its last committed step when a worker is killed in the middle of the next one, "
    "and ends with the undisturbed models.",
    fault="SIGKILL of the actor in the middle of a step",
    layer="training",
    environment=TrainingEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=kill_the_worker,
    within_s=120,
    verdict=(checks.killed_once, checks.went_on_from_the_committed_step, checks.predictions_equal_the_control),
)
