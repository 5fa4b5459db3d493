"""The stage `evaluate`: the units judged on the rows that none has learnt from; publishes data/evaluate.

The same numbers stand in metrics.json, for `dvc metrics show`, and in the units' runs in MLflow. Safe to run again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from koboshi.datasets.build import building
from koboshi.files import publish_bytes
from koboshi.project.code_file import deciding
from koboshi.project.declared import EVALUATE, TRAIN, Training
from koboshi.project.judging import judged, model_of
from koboshi.project.outbox_first import deliver_first
from koboshi.project.project import DATA, METRICS, Project
from koboshi.project.training_stage import DESCRIPTION, final_states, say
from koboshi.settings import Settings, load_settings

EVALUATION = "evaluation.json"
Scores = Mapping[str, Mapping[str, float]]


def evaluate(project: Project, training: Training) -> None:
    """Judge data/train: first MLflow, then data/evaluate, last metrics.json."""
    settings, trained, table = load_settings(project.folder), project.dataset(TRAIN), project.dataset(training.on)
    os.environ.setdefault("MPLCONFIGDIR", str(settings.state_dir / "cache" / "matplotlib"))  # not the home folder
    key = json.loads(trained.path(DESCRIPTION).read_text())["key"]
    models = {
        name: model_of(training.units[name], training.units[name].spec(training.held_out), state, table)
        for name, state in final_states(settings, key, training.units).items()
    }
    with building(project.folder / DATA / EVALUATE) as folder:
        scores = judged(project, training, models, table, folder)
        described = _described(deciding(project, training), project.served, scores)
        (folder / EVALUATION).write_text(json.dumps({"key": key, **described}, indent=1, sort_keys=True) + "\n")
        _record(settings, key, scores, folder)
    publish_bytes(project.folder / METRICS, json.dumps(described, indent=1, sort_keys=True).encode() + b"\n")
    for name, metrics in sorted(scores.items()):
        told = ", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items())
        say(f"{name}: {told}{' (served)' if name == described['best'] else ''}")


def _described(metric: str, served: str | None, scores: Scores) -> dict[str, Any]:
    """`best` is the unit that is to be served: the declared one, or that with the highest score, of a tie the first."""
    best = served or min(scores, key=lambda name: (-scores[name][metric], name))
    return {"best": best, "metric": metric, "units": scores}


def _record(settings: Settings, key: str, scores: Scores, folder: Path) -> None:
    """Metrics, and the pictures in each unit's own folder, for its run; what waits in the outbox comes first."""
    if (uri := settings.mlflow.tracking_uri) is None:
        say("MLflow has no address (`koboshi up` starts it): the numbers are only in metrics.json.")
        return
    from koboshi.registry.mlflow_runs import log_evaluation

    deliver_first(settings, uri)
    for name, metrics in scores.items():
        held_out = {f"held_out_{metric}": value for metric, value in metrics.items()}
        pictures = {path.stem: path for path in sorted((folder / name).glob("*.png"))}
        log_evaluation(uri, settings.serving.model, key, name, held_out, pictures)
