"""Training runs in MLflow: a parent with a child for each unit, found by their key before anything is made.

    parent  tag koboshi.key
    └── child  tags koboshi.key, koboshi.unit, koboshi.sha256 (digest of its model), koboshi.model_id

How a run is found and made once, and its metrics are there once: `mlflow_lookup`. What else people see: `mlflow_facts`.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from koboshi.errors import Conflict
from koboshi.registry import mlflow_facts, mlflow_logged_models, mlflow_lookup
from koboshi.registry.facts import TrainingFacts
from koboshi.registry.mlflow_connection import asking
from koboshi.registry.mlflow_logged_models import MODEL_TAG, SHA256_TAG
from koboshi.registry.mlflow_lookup import FINISHED, KEY_TAG, UNIT_TAG
from koboshi.registry.progress import NO_FACTS, UnitRecord


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedModel:
    """A unit's model in MLflow: its run, its id, where its artefact lies, and the digest that was recorded for it."""

    run_id: str
    model_id: str
    source: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingRuns:
    """The ids of the parent run and, by unit, of its children."""

    parent: str
    units: Mapping[str, str]


def record_training(
    tracking_uri: str,
    experiment: str,
    key: str,
    params: Mapping[str, Any],
    units: Sequence[UnitRecord],
    between: Callable[[], None] = lambda: None,
    facts: TrainingFacts = NO_FACTS,
) -> TrainingRuns:
    """Record a training with its units, metrics and models; the same key again changes nothing that is there.

    Key: `key`, and the unit's name. Commit of a unit: its run becomes FINISHED, after its model is READY and its digest
    is a tag; the parent's comes last. Under a crash anywhere before, the next call finds the run by its tags and
    completes it: of metrics it writes those that are missing, and a half uploaded model is dropped for a new one.
    What a person has deleted is restored or made again. `between` is called before each unit. Raises `Unavailable`
    (try again), `NotConfigured` (the experiment was deleted) and `Conflict` (MLflow refuses).
    """
    with asking(tracking_uri) as client:
        where = mlflow_lookup.experiment_id(client, experiment)
        times = [step.at_s for unit in units for step in unit.steps]
        parent = the_training(client, where, key, facts, min(times, default=0.0))
        children = {}
        for unit in units:
            between()
            children[unit.name] = _record_unit(client, where, parent, key, unit, facts)
        mlflow_lookup.log_params(client, parent, params)
        _describe(client, parent, mlflow_facts.description(facts))
        _finish(client, parent, max(times, default=0.0))
    return TrainingRuns(parent.info.run_id, children)


def find_run(tracking_uri: str, experiment: str, key: str, unit: str | None = None) -> str | None:
    """The id of the run that counts for a key (and a unit; without it the parent), or None."""
    with asking(tracking_uri) as client:
        run = mlflow_lookup.find_run(client, experiment, key, unit)
    return run.info.run_id if run else None


def recorded_model(tracking_uri: str, experiment: str, key: str, unit: str) -> RecordedModel:
    """The model of a unit whose record is complete. Raises `Conflict` where it is not, and says how it becomes so."""
    with asking(tracking_uri) as client:
        run = mlflow_lookup.find_run(client, experiment, key, unit)
        if run is None or run.info.status != FINISHED:
            raise mlflow_lookup.no_run(client, experiment, key, unit)
        model = mlflow_logged_models.model_of(client, run)
    if model is None or SHA256_TAG not in run.data.tags:
        raise Conflict(
            f"the model of run {run.info.run_id} ({unit}) was deleted in MLflow, or the run's tags: "
            "run the train stage again (`dvc repro --force train`), which records what is missing."
        )
    return RecordedModel(run.info.run_id, model.model_id, model.artifact_location, run.data.tags[SHA256_TAG])


def log_evaluation(
    tracking_uri: str,
    experiment: str,
    key: str,
    unit: str,
    metrics: Mapping[str, float],
    figures: Mapping[str, Path],
) -> None:
    """Add what an evaluation measured to the unit's run: numbers as metrics, files under `evaluation/`.

    Key: `key`, `unit` and the metric's or figure's name. The same numbers again change nothing: their time is the
    run's own end. Raises `Conflict` when that unit was never recorded.
    """
    with asking(tracking_uri) as client:
        run = mlflow_lookup.find_run(client, experiment, key, unit)
        if run is None:
            raise mlflow_lookup.no_run(client, experiment, key, unit)
        at_ms = run.info.end_time or run.info.start_time
        measured = [Metric(name, value, at_ms, 0) for name, value in metrics.items()]
        model = mlflow_logged_models.model_of(client, run)
        on = mlflow_facts.dataset_of(run)
        told = mlflow_logged_models.also_of(model, measured, on) if model else measured
        client.log_batch(run.info.run_id, told)
        for name, path in figures.items():
            with tempfile.TemporaryDirectory() as folder:
                named = Path(shutil.copyfile(path, Path(folder) / f"{name}{path.suffix}"))
                client.log_artifact(run.info.run_id, str(named), "evaluation")


def the_training(
    client: MlflowClient, experiment: str, key: str, facts: TrainingFacts, started_s: float | None = None
) -> Run:
    """The run of a training, made when there is none: see `mlflow_lookup.the_run`. It names its dataset as an input."""
    told = {MLFLOW_RUN_NAME: mlflow_facts.run_name(facts, key), **mlflow_facts.description_tag(facts)}
    return _the_run(client, experiment, {KEY_TAG: key, **told}, facts, started_s)


def the_unit(
    client: MlflowClient, parent: Run, key: str, unit: str, facts: TrainingFacts, started_s: float | None = None
) -> Run:
    """The run of a unit, below that of its training."""
    tags = {KEY_TAG: key, UNIT_TAG: unit, MLFLOW_RUN_NAME: unit, MLFLOW_PARENT_RUN_ID: parent.info.run_id}
    return _the_run(client, parent.info.experiment_id, tags, facts, started_s)


def _the_run(
    client: MlflowClient, experiment: str, tags: Mapping[str, str], facts: TrainingFacts, started_s: float | None
) -> Run:
    run = mlflow_lookup.the_run(client, experiment, {**mlflow_facts.tags_of(facts), **tags}, started_s)
    if inputs := mlflow_facts.missing_inputs(facts, run):
        client.log_inputs(run.info.run_id, inputs)
    return run


def _record_unit(
    client: MlflowClient, experiment: str, parent: Run, key: str, unit: UnitRecord, facts: TrainingFacts
) -> str:
    started = min((step.at_s for step in unit.steps), default=0.0)
    run = the_unit(client, parent, key, unit.name, facts, started)
    run_id = str(run.info.run_id)
    if run.info.status == FINISHED and mlflow_logged_models.model_of(client, run):
        return run_id
    ended = max((step.at_s for step in unit.steps), default=0.0)
    mlflow_lookup.log_params(client, run, unit.params)
    recoveries = Metric("recoveries", float(len(unit.recoveries)), round(ended * 1000), 0)
    marks = mlflow_facts.marks_by_step(facts.recovered.get(unit.name, ()))
    told = [*mlflow_lookup.by_step([*unit.steps, *marks]), recoveries]
    there = mlflow_lookup.log_missing_metrics(client, run, told)
    _describe(client, run, _note(unit))
    model = mlflow_logged_models.recorded(client, experiment, run, key, unit)
    mlflow_logged_models.link(client, run, model, len(unit.steps))
    mlflow_logged_models.log_last_step(client, run, model, unit, there, mlflow_facts.measured_on(facts))
    client.set_tag(run_id, SHA256_TAG, model.tags[SHA256_TAG])
    client.set_tag(run_id, MODEL_TAG, model.model_id)
    _finish(client, run, ended)
    return run_id


def _describe(client: MlflowClient, run: Run, said: str) -> None:
    """What the run's page says first; `run` is as it was found."""
    if said and run.data.tags.get(MLFLOW_RUN_NOTE) != said:
        client.set_tag(run.info.run_id, MLFLOW_RUN_NOTE, said)


def _note(unit: UnitRecord) -> str:
    if not unit.recoveries:
        return f"{len(unit.steps)} steps without a recovery."
    return "\n".join(f"- {sentence}" for sentence in unit.recoveries)


def _finish(client: MlflowClient, run: Run, ended_s: float) -> None:
    if run.info.status != FINISHED:
        client.set_terminated(run.info.run_id, FINISHED, round(ended_s * 1000))
