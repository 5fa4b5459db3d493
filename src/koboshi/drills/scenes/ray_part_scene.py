"""The scenes of the drills that strike Ray's own processes: a training, and a cluster that has to be whole again."""

from collections.abc import Sequence

from koboshi.drills.evidence import Event, Evidence, Finding
from koboshi.drills.faults.parts import kill_part, why_not_healthy
from koboshi.drills.faults.signals import caught_in_the_middle
from koboshi.drills.scenes.ray_witness import Node
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike
from koboshi.journal import Journal

HEAD = "ray-head"
WHOLE_WITHIN_S = 150.0
NO_NODE = Node("", "")


class RayPartScene(TrainingScene):
    """A training, while which a node or the head is killed, in the middle of the victim's middle step."""

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

    def kill_the_node(self) -> list[Strike]:
        """SIGKILL to all processes of the node that is at the victim's middle step."""
        caught = caught_in_the_middle(self.doing, self.pids, lambda: self.over)
        if caught is None:
            return []
        host = self._hosts[caught.process.pid]
        self.struck = next((node for node in self.before if node.id == host), NO_NODE)
        strike = kill_part(self.settings, self.struck.name, f"{caught}, of {self.victim}'s step {self.step}")
        return [strike] if strike else []

    def kill_the_head(self) -> list[Strike]:
        """SIGKILL to all processes of the head while the victim's middle step is done on a node."""
        if caught_in_the_middle(self.doing, self.pids, lambda: self.over) is None:
            return []
        strike = kill_part(self.settings, HEAD, f"in the middle of {self.victim}'s step {self.step}")
        return [strike] if strike else []

    def finish(self, limit_s: float) -> Finding:
        """Wait for the training's end, and until Ray does real work on every node again."""
        ended = super().finish(limit_s)
        missing = why_not_healthy(self.settings, "ray", WHOLE_WITHIN_S)
        said = f"{ended.said}; {missing or 'Ray runs tasks on every node again'}"
        return Finding(ended.check, ended.holds and missing is None, said)


class RayHeadScene(RayPartScene):
    """With the head Ray forgets all of the training, so what was measured is read off the files."""

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """Suspicion is the follower's, recovery the first step that the next attempt wrote."""
        struck_s = strikes[0].at_s
        told = super().evidence(strikes)
        suspected = [at for at, line in self.heard if at > struck_s and line.startswith(("waiting for", "attempt "))]
        begun = [e["at"] for e in Journal(self.spec.place.journal).events() if e["event"] == "job began"]
        good = [file.at_s for file in self.files.written() if file.at_s > max(begun) > struck_s]
        moments = {"detected_after_s": suspected[:1], "recovered_after_s": good[:1]}
        after = {name: at[0] - struck_s for name, at in moments.items() if at}
        events = [
            *(Event(at, "suspicion", "the follower misses the job") for at in suspected[:1]),
            *(Event(at, "recovery", "the next attempt has done a step") for at in good[:1]),
        ]
        measures = {**told.measures, **after, "redone": float(self._begun_again())}
        return Evidence(measures, [*told.events, *events], told.series)

    def _begun_again(self) -> int:
        """How many steps were begun twice, as the workers wrote down."""
        begun = [
            (e["unit"], e["step"]) for e in Journal(self.spec.place.journal).events() if "pid" in e and "step" in e
        ]
        return len(begun) - len(set(begun))
