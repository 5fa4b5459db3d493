"""ray-node-killed: SIGKILL of all processes of a Ray node while it trains."""

from collections.abc import Iterator, Sequence

from koboshi.drills.drill import Drill, Finding, Strike
from koboshi.drills.kit.parts import WHOLE_WITHIN_S, and_healthy, kill_part
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Node, counts

NO_NODE = Node("", "")


class RayNodeEnvironment(TrainingEnvironment):
    """A training, while which a node is killed, in the middle of the victim's middle step."""

    struck = NO_NODE

    def begin(self) -> None:
        """Remember the nodes, and begin the training."""
        self.before = self.ray.members()
        self._hosts: dict[int, str] = {}
        super().begin()

    def pids(self) -> list[int]:
        """The run's living workers; where each of them is, is remembered, since there is no time to ask later."""
        self._hosts = {actor.pid: actor.node for actor in self.actors() if actor.state == "ALIVE"}
        return list(self._hosts)

    def kill_the_node(self) -> list[Strike | None]:
        """SIGKILL to all processes of the node that is at the victim's middle step."""
        caught = self.catch()
        if caught is None:
            return []
        host = self._hosts[caught.process.pid]
        self.struck = next((node for node in self.before if node.id == host), NO_NODE)
        return [kill_part(self.settings, self.struck.name, f"{caught}, of {self.victim}'s step {self.step}")]

    def finish(self, limit_s: float) -> Finding:
        """Wait for the training's end, and until Ray does real work on every node again."""
        ended = super().finish(limit_s)
        return and_healthy(ended, self.settings, "ray", WHOLE_WITHIN_S, "Ray runs tasks on every node again")


def only_its_workers_died(environment: RayNodeEnvironment, strikes: Sequence[Strike]) -> Finding:
    """The node's processes are gone, and of the run's workers exactly those died that were on it.

    One without a process or a node was to be started there, and never was. Of those on the node the pool may have heard
    no beat before Ray knew of their end, and have ended them: so for these it does not count who was first.
    """
    (strike,) = strikes
    died = [actor for actor in environment.actors() if actor.pid and actor.node and actor.state == "DEAD"]
    with_it = [actor for actor in died if actor.node == environment.struck.id]
    elsewhere = [a.name for a in died if a.node != environment.struck.id and a.death != ENDED_BY_POOL]
    holds = strike.took and bool(with_it) and not elsewhere
    names = ", ".join(f"{actor.name} (pid {actor.pid})" for actor in with_it) or "none"
    said = f"workers that died with {environment.struck.name}: {names}"
    return Finding("only_its_workers_died", holds, f"{said}; not on it: {', '.join(elsewhere)}" if elsewhere else said)


def went_on_elsewhere(environment: RayNodeEnvironment, strikes: Sequence[Strike]) -> Finding:
    """Every step ended well exactly once; what came to nothing was on the struck node, and was done on another."""
    wrong = list(_gone_wrong(environment, strikes[0]))
    lost = sorted(task.name for task in checks.told(environment) if task.state != "FINISHED")
    return Finding.unless(
        "went_on_elsewhere",
        wrong,
        f"of {len(checks.step_names(environment))} steps only {', '.join(lost)} had to be done elsewhere",
    )


def _gone_wrong(environment: RayNodeEnvironment, strike: Strike) -> Iterator[str]:
    tasks, hosts = checks.told(environment), {actor.id: actor.node for actor in environment.actors()}
    ran = counts(tasks)
    for name in checks.step_names(environment):
        if ran[name, "FINISHED"] != 1:
            yield f"{name} ended well {ran[name, 'FINISHED']} times"
    lost = [task for task in tasks if task.state != "FINISHED"]
    if not any(checks.spans_the_strike(task, strike) for task in lost):
        yield "no step was interrupted by the strike"
    for task in lost:
        if hosts[task.actor] != environment.struck.id:
            yield f"{task.name} came to nothing on a node that was not struck"
    names = {task.name for task in lost}
    for task in tasks:
        if task.state == "FINISHED" and task.name in names and hosts[task.actor] == environment.struck.id:
            yield f"{task.name} was done again on the node that was dead"


def node_is_back(environment: RayNodeEnvironment, _strikes: Sequence[Strike]) -> Finding:
    """Ray has a new node under the old name; `finish` has seen a task done on each."""
    now = {node.name: node.id for node in environment.ray.members()}
    again = now.get(environment.struck.name)
    holds = again is not None and again not in {node.id for node in environment.before}
    said = (
        f"{environment.struck.name} has joined again and runs tasks"
        if holds
        else f"{environment.struck.name} is not back"
    )
    return Finding("node_is_back", holds, said)


DRILL: Drill[RayNodeEnvironment] = Drill(
    name="ray-node-killed",
    claim="A training goes on elsewhere when a node is killed with all that runs there, and ends with the undisturbed "
    "models; the node comes back and is used again.",
    fault="SIGKILL of all processes of a node in the middle of a step",
    layer="training",
    environment=RayNodeEnvironment,
    steady=(checks.ray_has_two_nodes_of_ours, checks.ray_is_idle),
    strike=RayNodeEnvironment.kill_the_node,
    within_s=180,
    verdict=(only_its_workers_died, went_on_elsewhere, checks.predictions_equal_the_control, node_is_back),
)
