"""Ray Train v2 with one worker, which restarts its worker group after a fault for as often as it takes.

How soon it notices is in the environment of the job: see `TUNED` of `benchmarks.contender`.
"""

import tempfile
from pathlib import Path
from typing import Any

import ray.train
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from benchmarks.peers.peer_steps import PeerSteps, begin, read_order


def train_loop(config: dict[str, Any]) -> None:
    """All steps from Ray Train's newest checkpoint on; a step counts here as soon as `report` has returned."""
    steps = PeerSteps(config["spec"])
    if (newest := ray.train.get_checkpoint()) is not None:
        with newest.as_directory() as folder:
            steps.take_up(Path(folder))
    while steps.done < steps.total:
        metrics = steps.step()
        with tempfile.TemporaryDirectory() as folder:
            steps.save(Path(folder))
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
        steps.committed()


def main() -> None:
    """Fit."""
    spec = read_order()
    begin(spec)
    run = RunConfig(
        name="peer", storage_path=str(spec.place.checkpoints), failure_config=FailureConfig(max_failures=-1)
    )
    DataParallelTrainer(
        train_loop, train_loop_config={"spec": spec}, scaling_config=ScalingConfig(num_workers=1), run_config=run
    ).fit()


if __name__ == "__main__":
    main()
