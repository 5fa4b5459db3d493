"""Ray Tune with one trial, which restarts it from its newest checkpoint after a fault for as often as it takes."""

import tempfile
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.peers.peer_steps import PeerSteps, begin, read_order


def trial(config: dict[str, Any]) -> None:
    """All steps from Ray Tune's newest checkpoint on; a step counts here as soon as `report` has returned."""
    steps = PeerSteps(config["spec"])
    if (newest := tune.get_checkpoint()) is not None:
        with newest.as_directory() as folder:
            steps.take_up(Path(folder))
    while steps.done < steps.total:
        metrics = steps.step()
        with tempfile.TemporaryDirectory() as folder:
            steps.save(Path(folder))
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
        steps.committed()


def main() -> None:
    """Fit."""
    spec = read_order()
    begin(spec)
    run = tune.RunConfig(
        name="peer",
        storage_path=str(spec.place.checkpoints),
        failure_config=tune.FailureConfig(max_failures=-1),
        verbose=0,
    )
    tune.Tuner(trial, param_space={"spec": spec}, run_config=run).fit()


if __name__ == "__main__":
    main()
