"""An actor that Ray restarts (`max_restarts`), repeating its calls (`max_task_retries`), with own checkpoints."""

from pathlib import Path

import ray

from benchmarks.peers.peer_steps import PeerSteps, begin, read_order
from koboshi.training import TrainingSpec


@ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
class Trainer:
    """Goes on from its own checkpoint whenever it is started."""

    def __init__(self, spec: TrainingSpec, folder: Path) -> None:
        self._steps, self._folder = PeerSteps(spec), folder
        self._steps.take_up(folder)

    def run_step(self, number: int) -> None:
        """Do a step, unless it was done before a restart."""
        if number > self._steps.done:
            self._steps.step()
            self._steps.save(self._folder)
            self._steps.committed()


def main() -> None:
    """Ask for one step after another."""
    spec = read_order()
    begin(spec)
    ray.init(log_to_driver=False)
    (unit,) = spec.units.values()
    trainer = Trainer.remote(spec, spec.place.checkpoints)  # type: ignore[attr-defined]
    for number in range(1, unit.steps + 1):
        ray.get(trainer.run_step.remote(number))


if __name__ == "__main__":
    main()
