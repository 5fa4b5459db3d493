"""Training runs in MLflow: a parent with a child for each unit, found by their key before anything is made.

    parent  tag koboshi.key
    └── child  tags koboshi.key, koboshi.unit, koboshi.sha256 (digest of its model), koboshi.model_id

MLflow has no unique keys, and a client that tries a request again can make a second run: so runs are searched again
after each making, and of several the finished one counts, then the oldest, then the lowest id.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Param, Run
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from koboshi.errors import Conflict
from koboshi.registry.mlflow_connection import FAILURES, answering, connect
from koboshi.registry.mlflow_model import write_model

KEY_TAG = "koboshi.key"
UNIT_TAG = "koboshi.unit"
SHA256_TAG = "koboshi.sha256"
MODEL_TAG = "koboshi.model_id"
MODEL_NAME = "model"
FINISHED = "FINISHED"

_METRICS_A_REQUEST = 1000
_PARAMS_A_REQUEST = 100


@dataclasses.dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step measured, and when it was committed (`at_s`, seconds since 1970)."""

    step: int
    metrics: Mapping[str, float]
    at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class UnitRecord:
    """One trained unit: a fitted scikit-learn `model`, some rows of its input as `example`.

    `recoveries` are sentences, one for each time that training went on after a failure; they are counted as a metric
    and can be read in the run's description.
    """

    name: str
    params: Mapping[str, Any]
    steps: Sequence[StepRecord]
    recoveries: Sequence[str]
    model: Any
    example: pd.DataFrame


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
    tracking_uri: str, experiment: str, key: str, params: Mapping[str, Any], units: Sequence[UnitRecord]
) -> TrainingRuns:
    """Record a training with its units, metrics and models; the same key again changes nothing that is there.

    Key: `key`, and the unit's name. Commit of a unit: its run becomes FINISHED, after its model is READY and its digest
    is a tag. Under a crash anywhere before, the next call finds the run by its tags and completes it: metrics carry
    their steps' own times, so that none is written twice, and a half uploaded model is dropped for a new one.
    Raises `Unavailable` (try again) and `Conflict` (MLflow refuses).
    """
    client = connect(tracking_uri)
    with answering(tracking_uri):
        experiment_id = _experiment(client, experiment)
        started = min((step.at_s for unit in units for step in unit.steps), default=0.0)
        ended = max((step.at_s for unit in units for step in unit.steps), default=0.0)
        parent = _run(client, experiment_id, {KEY_TAG: key, MLFLOW_RUN_NAME: key[:8]}, started)
        children = {unit.name: _record_unit(client, experiment_id, parent, key, unit) for unit in units}
        _log_params(client, parent, params)
        _finish(client, parent, ended)
    return TrainingRuns(parent.info.run_id, children)


def find_run(tracking_uri: str, experiment: str, key: str, unit: str | None = None) -> str | None:
    """The id of the run that counts for a key (and a unit; without it the parent), or None."""
    client = connect(tracking_uri)
    with answering(tracking_uri):
        found = client.get_experiment_by_name(experiment)
        run = _find(client, found.experiment_id, key, unit) if found else None
    return run.info.run_id if run else None


def recorded_model(tracking_uri: str, experiment: str, key: str, unit: str) -> RecordedModel | None:
    """The model of a unit whose record is complete, or None."""
    client = connect(tracking_uri)
    with answering(tracking_uri):
        found = client.get_experiment_by_name(experiment)
        run = _find(client, found.experiment_id, key, unit) if found else None
        if run is None or run.info.status != FINISHED:
            return None
        model = client.get_logged_model(run.data.tags[MODEL_TAG])
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
    client = connect(tracking_uri)
    with answering(tracking_uri):
        found = client.get_experiment_by_name(experiment)
        run = _find(client, found.experiment_id, key, unit) if found else None
        if run is None:
            raise Conflict(f"MLflow has no run of unit {unit} of training {key[:12]}: run the train stage first.")
        at_ms = run.info.end_time or run.info.start_time
        client.log_batch(run.info.run_id, [Metric(name, value, at_ms, 0) for name, value in metrics.items()])
        for name, path in figures.items():
            with tempfile.TemporaryDirectory() as folder:
                named = Path(shutil.copyfile(path, Path(folder) / f"{name}{path.suffix}"))
                client.log_artifact(run.info.run_id, str(named), "evaluation")


def _record_unit(client: MlflowClient, experiment_id: str, parent: Run, key: str, unit: UnitRecord) -> str:
    tags = {KEY_TAG: key, UNIT_TAG: unit.name, MLFLOW_RUN_NAME: unit.name, MLFLOW_PARENT_RUN_ID: parent.info.run_id}
    run = _run(client, experiment_id, tags, min((step.at_s for step in unit.steps), default=0.0))
    run_id = str(run.info.run_id)
    if run.info.status == FINISHED:
        return run_id
    ended = max((step.at_s for step in unit.steps), default=0.0)
    _log_params(client, run, unit.params)
    _log_metrics(client, run, unit, ended)
    client.set_tag(run_id, MLFLOW_RUN_NOTE, _note(unit))
    model = _record_model(client, experiment_id, run, key, unit)
    linked = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
    if model.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=len(unit.steps))])
    client.set_tag(run_id, SHA256_TAG, model.tags[SHA256_TAG])
    client.set_tag(run_id, MODEL_TAG, model.model_id)
    _finish(client, run, ended)
    return run_id


def _record_model(client: MlflowClient, experiment_id: str, run: Run, key: str, unit: UnitRecord) -> LoggedModel:
    """The READY model of this unit, or a new one; READY comes last, so one that is still PENDING was interrupted."""
    for model in _models(client, experiment_id, key, unit.name):
        if model.status == LoggedModelStatus.READY:
            return model
        client.delete_logged_model(model.model_id)
    tags = {KEY_TAG: key, UNIT_TAG: unit.name}
    params = {name: str(value) for name, value in unit.params.items()}
    made = client.create_logged_model(experiment_id, MODEL_NAME, run.info.run_id, tags, params, "classifier")
    identity = Model(made.artifact_location, run.info.run_id, model_uuid=made.model_id, model_id=made.model_id)
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as scratch:
        folder = Path(scratch) / MODEL_NAME
        sha256 = write_model(folder, unit.model, unit.example, identity)
        client.set_logged_model_tags(made.model_id, {SHA256_TAG: sha256})
        client.log_model_artifacts(made.model_id, str(folder))
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return client.get_logged_model(made.model_id)


def _models(client: MlflowClient, experiment_id: str, key: str, unit: str) -> list[LoggedModel]:
    """The models of a unit, oldest first."""
    found = client.search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{key}' AND tags.`{UNIT_TAG}` = '{unit}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        _tolerating_a_race(lambda: client.create_experiment(name), lambda: client.get_experiment_by_name(name))
        found = client.get_experiment_by_name(name)
    return str(found.experiment_id)


def _run(client: MlflowClient, experiment_id: str, tags: Mapping[str, str], started_s: float) -> Run:
    """The run that counts for these tags, made when there is none."""

    def find() -> Run | None:
        return _find(client, experiment_id, tags[KEY_TAG], tags.get(UNIT_TAG))

    if run := find():
        return run
    made = _tolerating_a_race(lambda: client.create_run(experiment_id, round(started_s * 1000), tags), find)
    return find() or made


def _tolerating_a_race(make: Callable[[], Any], find: Callable[[], Any]) -> Any:
    """Make a thing; if that fails, somebody else or an earlier try of our own request may have made it."""
    try:
        return make()
    except FAILURES:
        if found := find():
            return found
        raise


def _find(client: MlflowClient, experiment_id: str, key: str, unit: str | None) -> Run | None:
    """Of the runs with these tags: a finished one before others, then the oldest, then the lowest id."""
    runs = client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'")
    ours = [run for run in runs if run.data.tags.get(UNIT_TAG) == unit]
    return min(ours, key=lambda run: (run.info.status != FINISHED, run.info.start_time, run.info.run_id), default=None)


def _log_params(client: MlflowClient, run: Run, params: Mapping[str, Any]) -> None:
    """Log what is not there yet: MLflow refuses to change a parameter, and so do we."""
    entries = [Param(name, str(value)) for name, value in params.items()]
    for start in range(0, len(entries), _PARAMS_A_REQUEST):
        client.log_batch(run.info.run_id, params=entries[start : start + _PARAMS_A_REQUEST])


def _log_metrics(client: MlflowClient, run: Run, unit: UnitRecord, ended_s: float) -> None:
    """Each with its step's own time: MLflow keeps one entry for the same name, time, step and value."""
    by_step = (
        Metric(name, value, round(step.at_s * 1000), step.step)
        for step in unit.steps
        for name, value in step.metrics.items()
    )
    entries = list(chain(by_step, [Metric("recoveries", float(len(unit.recoveries)), round(ended_s * 1000), 0)]))
    for start in range(0, len(entries), _METRICS_A_REQUEST):
        client.log_batch(run.info.run_id, entries[start : start + _METRICS_A_REQUEST])


def _note(unit: UnitRecord) -> str:
    if not unit.recoveries:
        return f"{len(unit.steps)} steps without a recovery."
    return "\n".join(f"- {sentence}" for sentence in unit.recoveries)


def _finish(client: MlflowClient, run: Run, ended_s: float) -> None:
    if run.info.status != FINISHED:
        client.set_terminated(run.info.run_id, FINISHED, round(ended_s * 1000))
