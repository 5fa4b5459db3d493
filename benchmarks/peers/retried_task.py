"""A task that Ray retries (`max_retries`) and that goes on from its own checkpoint."""

from pathlib import Path

import ray

from benchmarks.peers.peer_steps import PeerSteps, begin, read_order
from koboshi.training import TrainingSpec


@ray.remote(num_cpus=1, max_retries=-1)  # type: ignore[untyped-decorator]
def train(spec: TrainingSpec, folder: Path) -> None:
    """All steps that no try before has done."""
    steps = PeerSteps(spec)
    steps.take_up(folder)
    while steps.done < steps.total:
        steps.step()
        steps.save(folder)
        steps.committed()


def main() -> None:
    """One call."""
    spec = read_order()
    begin(spec)
    ray.init(log_to_driver=False)
    ray.get(train.remote(spec, spec.place.checkpoints))


if __name__ == "__main__":
    main()
