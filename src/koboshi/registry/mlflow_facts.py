"""How MLflow shows a training's facts: the names of its runs, tags, a description, a dataset input, marks. Pure.

tags      mlflow.source.git.commit, mlflow.source.git.dirty, koboshi.uncommitted, changed.<parameter> "0 → 7"
input     the dataset that was learned from, by name and digest
marks     the metric `recovered`, 1 at each step with which training went on after a failure
"""

import json
import re
from collections.abc import Iterable, Iterator

from mlflow.entities import Dataset, DatasetInput, InputTag, Run
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from koboshi.registry.facts import Mark, TrainingFacts
from koboshi.registry.progress import StepRecord

CHANGED, UNCOMMITTED_TAG, RECOVERED = "changed.", "koboshi.uncommitted", "recovered"
NAMED = 3  # changed parameters in a run's name
TAGGED = 50  # and as tags; MLflow takes a hundred tags
DIGEST = 16  # characters; MLflow takes 36


def run_name(facts: TrainingFacts, key: str) -> str:
    """What a training's run is called: `features: train.seed 0 → 7, 5fd1c0a2 at bef7d4a`.

    What was changed comes early: MLflow's list shows the beginning of a name.
    """
    if not facts.dataset:
        return key[:8]
    named = [f"{name} {change}" for name, change in facts.changed.items()]
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    changed = f": {', '.join([*named[:NAMED], *more])}," if named else ""
    return f"{facts.dataset}{changed} {facts.dataset_sha256[:8]}" + (f" at {facts.commit[:7]}" if facts.commit else "")


def tags_of(facts: TrainingFacts) -> dict[str, str]:
    """What all runs of the training are tagged with."""
    return {**_git_tags(facts), **_changed_tags(facts)}


def _git_tags(facts: TrainingFacts) -> dict[str, str]:
    if not facts.commit:
        return {}
    dirty = {UNCOMMITTED_TAG: ", ".join(facts.uncommitted)} if facts.uncommitted else {}
    source = {MLFLOW_SOURCE_NAME: facts.project, MLFLOW_SOURCE_TYPE: "LOCAL"}  # MLflow shows a commit beside its source
    return {**source, MLFLOW_GIT_COMMIT: facts.commit, MLFLOW_GIT_DIRTY: str(bool(dirty)).lower(), **dirty}


def _changed_tags(facts: TrainingFacts) -> dict[str, str]:
    """MLflow refuses some characters in a tag's name."""
    changed = list(facts.changed.items())[:TAGGED]
    return {CHANGED + re.sub(r"[^\w. /:-]", "-", name): change for name, change in changed}


def description(facts: TrainingFacts) -> str:
    """What the page of the training's run says first, in Markdown; empty without facts."""
    return "\n\n".join(_sentences(facts))


def _sentences(facts: TrainingFacts) -> Iterator[str]:
    if facts.dataset:
        yield f"Trained on the dataset **{facts.dataset}**, manifest `{facts.dataset_sha256}`."
    if facts.commit:
        others = f", with uncommitted changes in {', '.join(facts.uncommitted)}" if facts.uncommitted else ""
        yield f"Code of commit `{facts.commit}`{others}."
    if facts.changed:
        yield "Parameters that differ from the commit:"
        yield "\n".join(f"- {name}: {change}" for name, change in facts.changed.items())


def description_tag(facts: TrainingFacts) -> dict[str, str]:
    """The description as a tag; none without facts."""
    said = description(facts)
    return {MLFLOW_RUN_NOTE: said} if said else {}


def missing_inputs(facts: TrainingFacts, run: Run) -> list[DatasetInput]:
    """The dataset input, unless the run has it."""
    digest = facts.dataset_sha256[:DIGEST]
    there = {(known.dataset.name, known.dataset.digest) for known in _inputs(run)}
    if not facts.dataset or (facts.dataset, digest) in there:
        return []
    source = json.dumps({"uri": f"data/{facts.dataset}", "manifest_sha256": facts.dataset_sha256})
    return [
        DatasetInput(Dataset(facts.dataset, digest, "local", source), [InputTag(MLFLOW_DATASET_CONTEXT, "training")])
    ]


def measured_on(facts: TrainingFacts) -> dict[str, str]:
    """The dataset, as a metric names it; empty where none is known."""
    return {"dataset_name": facts.dataset, "dataset_digest": facts.dataset_sha256[:DIGEST]} if facts.dataset else {}


def dataset_of(run: Run) -> dict[str, str]:
    """The dataset that a run names as its input, as a metric names it; empty where the run names none."""
    for known in _inputs(run):
        return {"dataset_name": known.dataset.name, "dataset_digest": known.dataset.digest}
    return {}


def _inputs(run: Run) -> list[DatasetInput]:
    return list(run.inputs.dataset_inputs) if run.inputs else []


def marks_by_step(marks: Iterable[Mark]) -> list[StepRecord]:
    """Marks as a metric: where training of a unit went on twice with one step, once."""
    first = {mark.step: mark for mark in sorted(marks, key=lambda mark: mark.at_s, reverse=True)}
    return [StepRecord(step, {RECOVERED: 1.0}, first[step].at_s) for step in sorted(first)]
