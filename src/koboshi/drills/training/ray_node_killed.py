"""ray-node-killed: SIGKILL of all processes of a Ray node while it trains."""

from collections.abc import Iterator, Mapping, Sequence

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.kit.faults import Caught, kill_part
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.training_environment import TrainingEnvironment, step_names
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Node

NO_NODE = Node("", "")


class RayNodeEnvironment(TrainingEnvironment):
    """A training, while which a node is killed, in the middle of the victim's middle step."""

    killed = NO_NODE

    ends_nodes = True
    _hosts: Mapping[int, str] = {}

    def pids(self) -> list[int]:
        """The run's living workers; where each of them is, is remembered, since there is no time to ask later."""
        self._hosts = {actor.pid: actor.node for actor in self.actors() if actor.state == "ALIVE"}
        return list(self._hosts)

    def kill_the_node(self) -> list[Injection | None]:
        """SIGKILL to all processes of the node that is at the victim's middle step."""
        return self.in_the_middle(self._kill_its_node)

    def _kill_its_node(self, caught: Caught) -> Injection | None:
        host = self._hosts[caught.process.pid]
        self.killed = next((node for node in self.before if node.id == host), NO_NODE)
        return kill_part(self.settings, self.killed.name, f"{caught}, of {self.at}")


def only_its_workers_died(environment: RayNodeEnvironment, injections: Sequence[Injection]) -> Finding:
    """The node's processes are gone, and of the run's workers exactly those died that were on it.

    One without a process or a node was to be started there, and never was. Of those on the node the pool may have heard
    no beat before Ray knew of their end, and have ended them: so for these it does not count who was first.
    """
    (injection,) = injections
    died = [actor for actor in environment.actors() if actor.pid and actor.node and actor.state == "DEAD"]
    with_it = [actor for actor in died if actor.node == environment.killed.id]
    elsewhere = [a.name for a in died if a.node != environment.killed.id and a.death != ENDED_BY_POOL]
    holds = injection.took and bool(with_it) and not elsewhere
    names = ", ".join(f"{actor.name} (pid {actor.pid})" for actor in with_it) or "none"
    said = f"workers that died with {environment.killed.name}: {names}"
    return Finding("only_its_workers_died", holds, f"{said}; not on it: {', '.join(elsewhere)}" if elsewhere else said)


def went_on_elsewhere(environment: RayNodeEnvironment, injections: Sequence[Injection]) -> Finding:
    """Every step ended well exactly once; what came to nothing was on the killed node, and was done on another."""
    wrong = list(_gone_wrong(environment, injections[0]))
    lost = sorted(task.name for task in checks.told(environment) if task.state != "FINISHED")
    return Finding.unless(
        "went_on_elsewhere",
        wrong,
        f"of {len(step_names(environment.spec))} steps only {', '.join(lost)} had to be done elsewhere",
    )


def _gone_wrong(environment: RayNodeEnvironment, injection: Injection) -> Iterator[str]:
    tasks, hosts = checks.told(environment), {actor.id: actor.node for actor in environment.actors()}
    yield from checks.ended_otherwise(environment, tasks)
    lost = [task for task in tasks if task.state != "FINISHED"]
    if not any(checks.spans_the_injection(task, injection) for task in lost):
        yield "no step was interrupted by the injection"
    for task in lost:
        if hosts[task.actor] != environment.killed.id:
            yield f"{task.name} came to nothing on a node that was not killed"
    names = {task.name for task in lost}
    for task in tasks:
        if task.state == "FINISHED" and task.name in names and hosts[task.actor] == environment.killed.id:
            yield f"{task.name} was done again on the node that was dead"


def node_is_back(environment: RayNodeEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Ray has a new node under the old name; `finish` has seen a task done on each."""
    now = {node.name: node.id for node in environment.ray.members()}
    again = now.get(environment.killed.name)
    holds = again is not None and again not in {node.id for node in environment.before}
    said = (
        f"{environment.killed.name} has joined again and runs tasks"
        if holds
        else f"{environment.killed.name} is not back"
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
    inject=RayNodeEnvironment.kill_the_node,
    within_s=180,
    verdict=(only_its_workers_died, went_on_elsewhere, checks.predictions_equal_the_control, node_is_back),
)
