"""driver-killed: SIGKILL of a training job's driver while its workers are in the middle of a step."""

from collections.abc import Sequence

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.kit.faults import kill
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment


class DriverEnvironment(TrainingEnvironment):
    """A training whose driver is killed: the next attempt goes on, and the cluster remembers the first one."""

    ends_the_attempt = True

    def kill_the_driver(self) -> list[Injection | None]:
        """SIGKILL to the job's driver while the victim's middle step is done."""
        return self.in_the_middle(lambda _caught: kill("the job's driver", self.drivers(), f"during {self.at}"))


def next_attempt_took_over(environment: DriverEnvironment, injections: Sequence[Injection]) -> Finding:
    """The driver's process is gone, and Ray had two jobs of this training: the first failed, the second succeeded."""
    jobs = sorted((job.name, job.status) for job in environment.ray.jobs(environment.folder))
    wanted = [(environment.spec.job_name(1), "FAILED"), (environment.spec.job_name(2), "SUCCEEDED")]
    said = "jobs: " + ", ".join(f"{name} {status}" for name, status in jobs)
    return Finding("next_attempt_took_over", injections[0].took and jobs == wanted, said)


def no_step_on_file_was_done_again(environment: DriverEnvironment, injections: Sequence[Injection]) -> Finding:
    """By the files that the drill has watched: it went on from where it had been."""
    return checks.went_on("no_step_on_file_was_done_again", environment, injections)


DRILL: Drill[DriverEnvironment] = Drill(
    name="driver-killed",
    claim="When the driver of a training is killed the next attempt takes over its lease and its committed steps, and "
    "ends with the undisturbed models.",
    fault="SIGKILL of the job's driver in the middle of a step",
    layer="training",
    environment=DriverEnvironment,
    steady=(checks.ray_has_nodes, checks.ray_is_idle),
    inject=DriverEnvironment.kill_the_driver,
    within_s=180,
    verdict=(next_attempt_took_over, no_step_on_file_was_done_again, checks.predictions_equal_the_control),
)
