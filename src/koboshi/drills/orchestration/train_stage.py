"""A workspace of a drill's own: where the runs of Airflow work that are to be killed."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.events import Sink, to_all
from koboshi.exits import run_and_exit
from koboshi.files import publish_bytes
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.settings import load_settings, required
from koboshi.sinks.terminal import to_terminal
from koboshi.training import TrainingSpec
from koboshi.training.attach import Jobs, Submission, TrainingResult, ensure_trained
from koboshi.training.on_ray.ray_submit import RayJobs, submission

STAGE = "train"
PUBLISHED = "trained"


def make_workspace(folder: Path, command: Sequence[str], files: Mapping[str, bytes], ingest: Mapping[str, Any]) -> None:
    """Write a project with one stage, which runs `command` after any of `files` has changed; DVC's cache is its own.

    Its koboshi.toml names a ledger beside it, and the settings of its ingest; addresses are the stack's.
    """
    stage = {"cmd": shlex.join(command), "deps": sorted(files), "outs": [PUBLISHED]}
    ledger, cache = folder.parent / "ledger.db", folder.parent / "cache"
    lines = [f'ledger_url = "sqlite:///{ledger}"', "[ingest]", *(f"{k} = {json.dumps(v)}" for k, v in ingest.items())]
    texts = {
        "dvc.yaml": json.dumps({"stages": {STAGE: stage}}),
        "koboshi.toml": "\n".join(lines) + "\n",
        ".dvc/config": f"[core]\nno_scm = true\nanalytics = false\n[cache]\ndir = {cache}\n",
    }
    for name, content in {**files, **{name: text.encode() for name, text in texts.items()}}.items():
        publish_bytes(folder / name, content)


SPECIFICATION = "specification.json"
RESULT = "trained/steps.json"


Attain = Callable[[TrainingSpec, Jobs, Ledger, Submission, Sink], TrainingResult]
"""Has a training done: see `koboshi.training.attach.ensure_trained`."""


def train(ensure_trained: Attain = ensure_trained) -> None:
    """Train what the workspace's specification says, by the job script in argv[1] if there is one.

    Which job is followed is also in the training's journal: the drill reads it there.
    """
    settings = load_settings()
    spec = TrainingSpec.from_json((settings.project / SPECIFICATION).read_text())
    jobs = RayJobs(required(settings.ray.jobs_url, "Ray"), settings.ray.token_path)
    ledger = Ledger(spec.place.ledger_url)
    emit = to_all(to_terminal, Journal(spec.place.journal).emit)
    result = ensure_trained(spec, jobs, ledger, submission(spec, *map(Path, sys.argv[1:])), emit)
    digests = {name: steps[-1].checkpoint.sha256 for name, steps in result.units.items()}
    publish_bytes(settings.project / RESULT, json.dumps(digests, indent=1).encode())


if __name__ == "__main__":
    run_and_exit(train, "train")
