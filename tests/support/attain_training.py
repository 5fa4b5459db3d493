"""A submitter of its own process: `python -m tests.support.attain_training SPECIFICATION URL TOKEN-FILE JOB`."""

import json
import sys
from pathlib import Path

from koboshi.exits import run_and_exit
from koboshi.sinks.terminal import to_terminal
from koboshi.training import TrainingSpec
from koboshi.training.attach import ensure_trained
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from tests.support.trainings import ledger_of


def main() -> None:
    """Print what was said, and last the digests of the final checkpoints."""
    file, url, token, job = sys.argv[1:]
    spec = TrainingSpec.from_json(Path(file).read_text())
    start = submission(spec, Path(job))
    attained = ensure_trained(spec, RayJobs(url, Path(token)), ledger_of(spec), start, to_terminal)
    sys.stdout.write(json.dumps({name: steps[-1].checkpoint.sha256 for name, steps in attained.units.items()}) + "\n")


if __name__ == "__main__":
    run_and_exit(main, "ensure_trained")
