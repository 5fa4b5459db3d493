"""The scene of the drill in which the newest checkpoint rots, right before it is needed."""

from koboshi.drills.faults.flipped_byte import flip_byte
from koboshi.drills.faults.signals import caught_in_the_middle, kill, resume, stop
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike


class FlippedCheckpointScene(TrainingScene):
    """A training whose worker dies when the checkpoint that its unit would go on from is not what it was."""

    def flip_and_kill(self) -> list[Strike]:
        """The worker is stopped for the moment in which the byte is flipped, so that no step is done meanwhile."""
        caught = caught_in_the_middle(self.doing, self.pids, lambda: self.over)
        if caught is None or stop(self.doing, [caught.process.pid]) is None:
            return []
        folder = self.spec.place.checkpoints / self.spec.key[:16] / self.victim
        newest = max(folder.glob("[0-9]*.ckpt"))
        if int(newest.name[:4]) != self.step - 1:
            resume([caught.process.pid])
            return []
        flipped = flip_byte(newest, f"the checkpoint of {self.victim}'s step {self.step - 1}")
        killed = kill(self.doing, [caught.process.pid], str(caught))
        return [flipped, killed] if killed else [flipped]
