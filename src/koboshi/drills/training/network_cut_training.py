"""The environment of a cut between Ray's head and a node that trains, the driver, and who follows the job.

Three things reach the head through proxies: a node of the drill's own (its raylet and its workers), the training's
driver, and the follower of the job. What Ray's workers say to each other does not pass the head, and cannot be put
behind a port of one's own, since each tells the others the very port that it listens on: that goes on during the cut.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from koboshi.drills.drill import Drill, Event, Evidence, Finding, Injection, times_after
from koboshi.drills.kit.faults import WHOLE_WITHIN_S, and_healthy, caught_in_the_middle, look_until
from koboshi.drills.kit.own_run import TcpProxy, eventually
from koboshi.drills.training import training_checks as checks
from koboshi.drills.training.ray_own_node import OwnRayNode
from koboshi.drills.training.training_environment import TrainingEnvironment, step_names
from koboshi.drills.training.witnesses import ENDED_BY_POOL
from koboshi.errors import Unavailable
from koboshi.events import JobSaid, NoAnswer, Sink
from koboshi.ledger import Ledger
from koboshi.settings import Settings, required
from koboshi.stack.parts.ray import STEP_MARK, title
from koboshi.training import UnitSpec
from koboshi.training.attach import Jobs, Submission, ensure_trained
from koboshi.training.on_ray.ray_submit import RayJobs, submission

NODE = "ray-node-1-cut"  # in the order of names the second: the pool's first worker is started there
# The silence lasts so long, and on a busy machine until the follower has noticed it; but less than the minute after
# which Ray itself gives up a head that is silent.
SILENT_S, LONGEST_SILENT_S = 20.0, 45.0
ANSWER_WITHIN_S = 8.0
LONGER = 5  # so that there is work left when the network is back, which a follower that gave the job up would do twice
JOINED_WITHIN_S, LEFT_WITHIN_S, SWALLOWED_WITHIN_S = 240.0, 60.0, 20.0
LOOK_S, ASK_S = 0.01, 0.5


class CutTrainingEnvironment(TrainingEnvironment):
    """The training is long enough for most of it to come after the cut."""

    actors_at_once = 3

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        job: Path | None = None,
        jobs: Callable[[str, Path | None, float], Jobs] = RayJobs,
    ) -> None:
        """Nothing is done yet; `jobs` makes the follower's way to Ray's jobs."""
        super().__init__(settings, emit, job)
        self._make_jobs = jobs
        self._head = _proxy(required(settings.ray.address, "Ray"))
        self._api = _proxy(required(settings.ray.jobs_url, "Ray").rpartition("/")[2])
        self._injected_s, self._healed_s = 0.0, 0.0
        self.swallowed = (0, 0)

    def begin(self) -> None:
        """Put the proxies there, let the node join through one, and have the training begun through both."""
        self.folder.mkdir(parents=True)
        for proxy in (self._head, self._api):
            proxy.start()
            self.ends.callback(proxy.close)
        node = OwnRayNode(self.settings, self.folder, NODE, f"127.0.0.1:{self._head.listen}")
        self.ends.callback(self._wait_until_left)
        self.ends.callback(node.stop)
        self.ends.callback(self._heal)
        self._join(node)
        super().begin()

    def cut(self) -> list[Injection]:
        """Fall silent, in the middle of a step on the drill's own node."""
        there = self.node_id
        while not self.over:
            asked = time.monotonic()
            known = [a.pid for a in self.actors() if a.node == there and a.state == "ALIVE"]
            if self._any_in_the_middle(known, look_until(asked, time.monotonic())):
                self._injected_s = time.time()
                return [
                    self._head.inject(f"{NODE}, the driver and the head", SWALLOWED_WITHIN_S),
                    self._api.inject("the follower and the jobs API", SWALLOWED_WITHIN_S),
                ]
        return []

    def finish(self, limit_s: float) -> Finding:
        """Heal after a while, wait for the training's end, and until every node runs tasks."""
        begun = time.monotonic()
        while stays_silent(time.monotonic() - begun, noticed=self._complaint(time.time()) is not None):
            time.sleep(ASK_S)
        self._heal()
        ended = self._await_end(limit_s, begun)
        return and_healthy(ended, self.settings, "ray", WHOLE_WITHIN_S, "Ray runs tasks on every node")

    def noticed_s(self, injections: Sequence[Injection]) -> float | None:
        """When the follower said that it had no answer, if it did before the network was back."""
        return self._complaint(self._healed_s) if injections else None

    def _complaint(self, before_s: float) -> float | None:
        return next(
            (at for at, event in self.heard if self._injected_s < at < before_s and isinstance(event, NoAnswer)), None
        )

    @property
    def silent_s(self) -> float:
        """How long the network was silent."""
        return self._healed_s - self._injected_s

    def done_while_silent(self, injections: Sequence[Injection]) -> int:
        """How many steps were done during the cut."""
        return sum(injections[0].at_s < file.at_s < self._healed_s for file in self.files.written())

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """Suspicion is the follower's; recovery is its first word after the network was back."""
        noticed = self.noticed_s(injections)
        good = next((at for at, event in self.heard if at > self._healed_s and isinstance(event, JobSaid)), None)
        events = [Event(self._healed_s, "note", "the network is back")]
        events += [Event(noticed, "suspicion", "the jobs API does not answer")] if noticed else []
        events += [Event(good, "recovery", "the follower hears of the job again")] if good else []
        return super().evidence(injections).plus(times_after(injections[0], events), events)

    @property
    def node_id(self) -> str | None:
        """What Ray calls the drill's own node, as long as it lives."""
        return next((node.id for node in self.ray.members() if node.name == NODE), None)

    def _train(self) -> None:
        through = submission(self.spec, self._job)
        address = (
            f"RAY_ADDRESS=127.0.0.1:{self._head.listen}"  # Ray sets its own in the environment, so it is said here
        )
        start = Submission(lambda name: f"{address} {through.entrypoint(name)}", through.env)
        jobs = self._make_jobs(f"http://127.0.0.1:{self._api.listen}", self.settings.ray.token_path, ANSWER_WITHIN_S)
        with closing(Ledger(self.spec.place.ledger_url)) as ledger:
            ensure_trained(self.spec, jobs, ledger, start, self._hear)

    def _trained(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """Longer ones."""
        longer = {name: dataclasses.replace(unit, steps=unit.steps * LONGER) for name, unit in units.items()}
        return super()._trained(longer)

    def _any_in_the_middle(self, pids: Sequence[int], until: float) -> bool:
        """Look at the titles often: who there is to look at is asked seldom."""
        return eventually(lambda: any(map(self._is_in_the_middle, pids)), until - time.monotonic(), look_s=LOOK_S)

    def _is_in_the_middle(self, pid: int) -> bool:
        doing = title(pid)
        return (
            STEP_MARK in doing and caught_in_the_middle(doing, lambda: [pid], lambda: title(pid) != doing) is not None
        )

    def _heal(self) -> None:
        if not self._healed_s:
            self.swallowed = self._head.held, self._api.held
            self._head.heal()
            self._api.heal()
            self._healed_s = time.time()

    def _join(self, node: OwnRayNode) -> None:
        """Start the node, and once more each time that Ray gives it up before it has joined."""
        node.start()

        def has_joined() -> bool:
            if node.has_ended:
                node.stop()
                node.start()
            return self.node_id is not None

        if not eventually(has_joined, JOINED_WITHIN_S, look_s=ASK_S):
            raise Unavailable(f"{NODE} has not joined after {JOINED_WITHIN_S:.0f} s: {node.last_words()}")

    def _wait_until_left(self) -> None:
        if not eventually(lambda: self.node_id is None, LEFT_WITHIN_S, look_s=ASK_S):
            raise Unavailable(f"{NODE} has not left the cluster after {LEFT_WITHIN_S:.0f} s: `koboshi status`.")


def stays_silent(silent_s: float, *, noticed: bool) -> bool:
    """Whether the network is not healed yet: a follower that is still waiting for its answer is waited for."""
    return silent_s < (SILENT_S if noticed else LONGEST_SILENT_S)


def _proxy(address: str) -> TcpProxy:
    host, _, port = address.rpartition(":")
    return TcpProxy(host, int(port))


def silence_was_noticed(environment: CutTrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """Bytes were swallowed on both ways, and the follower stopped waiting for an answer before the network was back."""
    noticed = environment.noticed_s(injections)
    holds = all(injection.took for injection in injections) and noticed is not None
    after = f"after {noticed - injections[0].at_s:.1f} s" if noticed else "never"
    head, api = environment.swallowed
    said = f"{head:,} and {api:,} bytes were swallowed in {environment.silent_s:.0f} s; the follower noticed {after}"
    return Finding(
        "silence_was_noticed", holds, f"{said}; {environment.done_while_silent(injections)} steps were done meanwhile"
    )


def node_did_its_part(environment: CutTrainingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """The node behind the proxy is still the same one, and steps were done there; no worker died anywhere."""
    actors = environment.actors()
    there = {actor.id for actor in actors if actor.node == environment.node_id}
    done = [task for task in checks.told(environment, more=0) if task.actor in there and task.state == "FINISHED"]
    died = [actor.name for actor in actors if actor.pid and actor.state == "DEAD" and actor.death != ENDED_BY_POOL]
    said = f"{len(done)} steps were done on {NODE}" + (f"; workers died: {', '.join(died)}" if died else "")
    return Finding("node_did_its_part", bool(done) and not died, said)


def nothing_was_lost_or_doubled(environment: CutTrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """Each step ended well once, by what Ray ran; and its file was written once, by what the drill saw."""
    wrong, names = checks.ended_otherwise(environment, checks.told(environment, more=0)), step_names(environment.spec)
    wrong += [f"{step} is nowhere" for step in environment.missing_steps()]
    wrong += [f"{step} was done again" for step in environment.done_again(injections)]
    return Finding.unless("nothing_was_lost_or_doubled", wrong[:3], f"each of {len(names)} steps was done once")


DRILL: Drill[CutTrainingEnvironment] = Drill(
    name="network-cut-training",
    claim="While a node, the driver and the follower hear nothing of Ray's head every wait is bounded; when the "
    "network heals the training ends as one job, with every step done once and the undisturbed models.",
    fault="a silent network between Ray's head and a node, the driver and the follower",
    layer="training",
    environment=CutTrainingEnvironment,
    steady=(checks.ray_has_two_nodes_of_ours, checks.ray_is_idle),
    inject=CutTrainingEnvironment.cut,
    within_s=240,
    verdict=(
        silence_was_noticed,
        node_did_its_part,
        checks.one_job,
        nothing_was_lost_or_doubled,
        checks.predictions_equal_the_control,
    ),
    faults=2,
)
