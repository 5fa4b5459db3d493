"""checkpoint-flipped: a byte of the newest checkpoint rots, and its unit's worker is killed."""

from collections.abc import Sequence

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.kit.faults import flip_byte, kill, resume, stop
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.training.on_ray import step_name


class FlippedCheckpointEnvironment(TrainingEnvironment):
    """A training whose worker dies when the checkpoint that its unit would go on from is not what it was."""

    def flip_and_kill(self) -> list[Injection | None]:
        """The worker is stopped for the moment in which the byte is flipped, so that no step is done meanwhile."""
        caught = self.catch()
        if caught is None or stop(self.doing, [caught.process.pid]) is None:
            return []
        folder = self.spec.place.checkpoints / self.spec.key[:16] / self.victim
        newest = max(folder.glob("[0-9]*.ckpt"))
        if int(newest.name[:4]) != self.step - 1:
            resume([caught.process.pid])
            return []
        flipped = flip_byte(newest, f"the checkpoint of {self.victim}'s step {self.step - 1}")
        return [flipped, kill(self.doing, [caught.process.pid], str(caught))]


def went_on_from_the_step_before(environment: FlippedCheckpointEnvironment, injections: Sequence[Injection]) -> Finding:
    """The rotten step ended well twice, each other one once, and only the one that the fault was in came to nothing."""
    tasks, rotten = checks.told(environment, more=2), step_name(environment.victim, environment.step - 1)
    wrong = checks.ended_otherwise(environment, tasks, twice=rotten)
    lost = [task.name for task in tasks if task.state != "FINISHED"]
    if lost != [step_name(environment.victim, environment.step)]:
        wrong.append(f"what came to nothing was {', '.join(lost) or 'no step'}")
    if not all(injection.took for injection in injections):
        wrong.append("a fault did not take")
    return Finding.unless(
        "went_on_from_the_step_before", wrong, f"{rotten} was done again, and the step after it, and nothing else"
    )


DRILL: Drill[FlippedCheckpointEnvironment] = Drill(
    name="checkpoint-flipped",
    claim="A checkpoint that is not what was committed is noticed before it is used, its step is done again from the "
    "one before, and the training ends with the undisturbed models.",
    fault="a flipped byte in the newest checkpoint, and SIGKILL of its unit's worker",
    layer="training",
    environment=FlippedCheckpointEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=FlippedCheckpointEnvironment.flip_and_kill,
    within_s=120,
    verdict=(went_on_from_the_step_before, checks.predictions_equal_the_control),
    faults=2,
)
