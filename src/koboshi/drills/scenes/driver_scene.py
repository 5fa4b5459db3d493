"""The scene of the drill that kills a training job's driver."""

from koboshi.drills.faults.signals import caught_in_the_middle, kill
from koboshi.drills.scenes.ray_part_scene import RayHeadScene
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike


class DriverScene(RayHeadScene):
    """As when the head dies, the next attempt goes on; but the cluster stays, and remembers the first one."""

    def kill_the_driver(self) -> list[Strike]:
        """SIGKILL to the job's driver while the victim's middle step is done."""
        if caught_in_the_middle(self.doing, self.pids, lambda: self.over) is None:
            return []
        strike = kill("the job's driver", self.drivers(), f"in the middle of {self.victim}'s step {self.step}")
        return [strike] if strike else []

    finish = TrainingScene.finish
