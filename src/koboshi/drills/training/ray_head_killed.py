"""ray-head-killed: SIGKILL of all processes of Ray's head, and with them the job's driver, while nodes train."""

from collections.abc import Sequence

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.kit.faults import kill_part
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_checks import HEAD
from koboshi.drills.training.training_environment import TrainingEnvironment


class RayHeadEnvironment(TrainingEnvironment):
    """A training, while which the head is killed: with it Ray forgets all of the training."""

    ends_the_attempt = ends_nodes = True

    def kill_the_head(self) -> list[Injection | None]:
        """SIGKILL to all processes of the head while the victim's middle step is done on a node."""
        return self.in_the_middle(lambda _caught: kill_part(self.settings, HEAD, f"during {self.at}"))


def cluster_began_anew(environment: RayHeadEnvironment, injections: Sequence[Injection]) -> Finding:
    """The head's processes are gone; all nodes are there again, under the old names, in a cluster that is new."""
    before, now = ({node.name: node.id for node in nodes} for nodes in (environment.before, environment.ray.members()))
    kept = sorted(name for name, node in now.items() if node in before.values())
    holds = injections[0].took and set(now) == set(before) and not kept
    said = f"{', '.join(sorted(now)) or 'no node'} joined a new head"
    return Finding("cluster_began_anew", holds, f"{said}; of the old cluster: {', '.join(kept)}" if kept else said)


def next_attempt_ended_it(environment: RayHeadEnvironment, _injections: Sequence[Injection]) -> Finding:
    """The new cluster had one job of this training, the second attempt, and it succeeded."""
    jobs = [(job.name, job.status) for job in environment.ray.jobs(environment.folder)]
    said = "jobs of the new cluster: " + (", ".join(f"{name} {status}" for name, status in jobs) or "none")
    return Finding("next_attempt_ended_it", jobs == [(environment.spec.job_name(2), "SUCCEEDED")], said)


def no_committed_step_was_done_again(environment: RayHeadEnvironment, injections: Sequence[Injection]) -> Finding:
    """By the files that the drill has watched, and by what the new cluster ran: it went on from where it had been."""
    reached = environment.files.reached(injections[0].at_s)
    ran = {task.name.partition(".")[2] for task in checks.told(environment, more=-sum(reached.values()))}
    return checks.went_on("no_committed_step_was_done_again", environment, injections, ran)


DRILL: Drill[RayHeadEnvironment] = Drill(
    name="ray-head-killed",
    claim="When Ray's head is killed the cluster comes back, and the training goes on from its committed steps under "
    "the next attempt, to the undisturbed models.",
    fault="SIGKILL of all processes of the head in the middle of a step",
    layer="training",
    environment=RayHeadEnvironment,
    steady=(checks.ray_has_two_nodes_of_ours, checks.ray_is_idle),
    inject=RayHeadEnvironment.kill_the_head,
    within_s=240,
    verdict=(
        cluster_began_anew,
        next_attempt_ended_it,
        no_committed_step_was_done_again,
        checks.predictions_equal_the_control,
    ),
)
