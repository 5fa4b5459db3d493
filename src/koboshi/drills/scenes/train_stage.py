"""The stage of a drill's workspace: `python -m koboshi.drills.scenes.train_stage JOB`, run by DVC, run by Airflow.

As the stage `train` of a pipeline does, it submits the training to Ray or attaches to it, and publishes what came out.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from koboshi.exits import run_and_exit
from koboshi.files import publish_bytes
from koboshi.ledger import Ledger
from koboshi.ledger.steps import CommittedStep
from koboshi.settings import load_settings, required
from koboshi.training import TrainingSpec
from koboshi.training.attach import Attained, Jobs, Say, Submission, attain
from koboshi.training.on_ray.ray_submit import RayJobs, submission

SPECIFICATION = "specification.json"
RESULT = "trained/steps.json"


class Attain(Protocol):
    """Has a training done."""

    def __call__(self, spec: TrainingSpec, jobs: Jobs, ledger: Ledger, submission: Submission, say: Say) -> Attained:
        """See `koboshi.training.attach.attain`."""


def train(attain: Attain = attain) -> None:
    """Train what the workspace's specification says, by the job script in argv[1]."""
    settings = load_settings()
    spec = TrainingSpec.from_json((settings.project / SPECIFICATION).read_text())
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    ledger = Ledger(spec.place.ledger_url)
    attained = attain(spec, jobs, ledger, submission(spec, Path(sys.argv[1])), _say)
    publish_bytes(settings.project / RESULT, json.dumps(_digests(attained.units), indent=1).encode())


def _digests(units: Mapping[str, list[CommittedStep]]) -> dict[str, str]:
    return {name: steps[-1].checkpoint.sha256 for name, steps in units.items()}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run_and_exit(train, "train")
