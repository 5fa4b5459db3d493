"""code.json: for each stage, what decides beside its data what it makes. The pipeline's first stage writes it.

DVC compares a stage's entry, so a change of code runs the stages that reach the changed definition, and no other. The
file is small and in git: its diff says which stage will run, and why.
"""

import json
from pathlib import Path
from typing import Any

from koboshi.files import publish_bytes
from koboshi.formats.cut import FILE as CUT
from koboshi.project.code_graph import Code, code_of
from koboshi.project.declared import EVALUATE, TRAIN, Stage, Training, metric_name
from koboshi.project.project import Project
from koboshi.training.declared import target_of

FILE = "code.json"
READS = "koboshi.project.records:pinned_records"
SCORES = "koboshi.training.sklearn_units:fitted_model"


def codes(project: Project) -> dict[str, dict[str, Any]]:
    """The entry of each stage, as JSON values."""
    root = project.folder
    found = {name: _stage_code(project, stage).as_json() for name, stage in project.stages.items()}
    if (training := project.training) is not None:
        units = {name: unit.spec(training.held_out).facts() for name, unit in training.units.items()}
        found[TRAIN] = {**unit_code(root, training).as_json(), "units": units, "threads": training.threads}
        found[EVALUATE] = {
            **judging_code(project, training).as_json(),
            "metric": deciding(project, training),
            "served": project.served,
        }
    return found


def _stage_code(project: Project, stage: Stage) -> Code:
    """The code of a stage; of one that reads records, that of the decoders, too."""
    decoders = [topic.decode for topic in project.topics.values()] if CUT in stage.deps else []
    return code_of(project.folder, [target_of(stage.build), READS, *map(target_of, decoders)])


def unit_code(root: Path, training: Training) -> Code:
    """The code of all units of a training."""
    return code_of(root, sorted({unit.factory for unit in training.units.values()}))


def judging_code(project: Project, training: Training) -> Code:
    """The code that judges a model: that of the metric or of the function that judges, and what reads a state."""
    judge = training.metric if project.judging is None else project.judging.function
    return code_of(project.folder, [SCORES] if isinstance(judge, str) else [SCORES, target_of(judge)])


def deciding(project: Project, training: Training) -> str:
    """The name of the metric that decides which unit is served, and whether a version is promoted."""
    return metric_name(training.metric) if project.judging is None else project.judging.deciding


def write_codes(project: Project) -> Path:
    """Write code.json, whole; the same code gives the same bytes."""
    path = project.folder / FILE
    publish_bytes(path, json.dumps(codes(project), indent=1, sort_keys=True).encode() + b"\n")
    return path
