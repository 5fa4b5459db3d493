"""The stage `evaluate`: each unit judged by the declared metric on the held-out rows; publishes data/evaluate.

The same numbers stand in metrics.json, for `dvc metrics show`, and in the units' runs in MLflow. Safe to run again.
"""

import json
from typing import Any

from koboshi.datasets.build import building
from koboshi.files import publish_bytes
from koboshi.project.declared import EVALUATE, TRAIN, Training, metric_name
from koboshi.project.judging import held_out_rows, model_of, score
from koboshi.project.outbox_first import deliver_first
from koboshi.project.project import DATA, METRICS, Project
from koboshi.project.training_stage import DESCRIPTION, say
from koboshi.settings import load_settings

EVALUATION = "evaluation.json"


def evaluate(project: Project, training: Training) -> None:
    """Judge data/train on the newest rows of its dataset: first MLflow, then data/evaluate, last metrics.json."""
    trained, table = project.dataset(TRAIN), project.dataset(training.on)
    key = json.loads(trained.path(DESCRIPTION).read_text())["key"]
    scores = {}
    for name, unit in training.units.items():
        state = trained.path(f"{name}.state").read_bytes()
        model = model_of(unit, unit.spec(training.held_out), state, table)
        scores[name] = score(training.metric, model, held_out_rows(training, unit, table))
    described = _described(training, project.served, scores)
    _record(project, key, metric_name(training.metric), scores)
    with building(project.folder / DATA / EVALUATE) as folder:
        (folder / EVALUATION).write_text(json.dumps({"key": key, **described}, indent=1, sort_keys=True) + "\n")
    publish_bytes(project.folder / METRICS, json.dumps(described, indent=1, sort_keys=True).encode() + b"\n")
    for name, value in sorted(scores.items()):
        say(f"{name}: {metric_name(training.metric)} {value:.4f}{' (served)' if name == described['best'] else ''}")


def _described(training: Training, served: str | None, scores: dict[str, float]) -> dict[str, Any]:
    """`best` is the unit that is to be served: the declared one, or that with the highest score, of a tie the first."""
    best = served or min(scores, key=lambda name: (-scores[name], name))
    return {"best": best, "metric": metric_name(training.metric), "units": scores}


def _record(project: Project, key: str, metric: str, scores: dict[str, float]) -> None:
    settings = load_settings(project.folder)
    if (uri := settings.mlflow.tracking_uri) is None:
        say("MLflow has no address (`koboshi up` starts it): the numbers are only in metrics.json.")
        return
    from koboshi.registry.mlflow_runs import log_evaluation

    deliver_first(settings, uri)
    for name, value in scores.items():
        log_evaluation(uri, settings.serving.model, key, name, {f"held_out_{metric}": value}, {})
