"""Training runs in MLflow: a parent with a child for each unit, found by their key before anything is made.

    parent  tag koboshi.key
    └── child  tags koboshi.key, koboshi.unit, koboshi.sha256 (digest of its model), koboshi.model_id

How a run is found and made once, and its metrics are there once: `mlflow_lookup`.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from koboshi.errors import Conflict
from koboshi.registry import mlflow_lookup
from koboshi.registry.mlflow_connection import asking, if_there
from koboshi.registry.mlflow_lookup import FINISHED, KEY_TAG, UNIT_TAG
from koboshi.registry.mlflow_model import write_model
from koboshi.registry.progress import UnitRecord

SHA256_TAG = "koboshi.sha256"
MODEL_TAG = "koboshi.model_id"
MODEL_NAME = "model"


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
        parent = mlflow_lookup.the_run(client, where, parent_tags(key), min(times, default=0.0))
        children = {}
        for unit in units:
            between()
            children[unit.name] = _record_unit(client, where, parent, key, unit)
        mlflow_lookup.log_params(client, parent, params)
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
        model = _model_of(client, run)
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
        client.log_batch(run.info.run_id, [Metric(name, value, at_ms, 0) for name, value in metrics.items()])
        for name, path in figures.items():
            with tempfile.TemporaryDirectory() as folder:
                named = Path(shutil.copyfile(path, Path(folder) / f"{name}{path.suffix}"))
                client.log_artifact(run.info.run_id, str(named), "evaluation")


def parent_tags(key: str) -> dict[str, str]:
    """What the run of a training is known by."""
    return {KEY_TAG: key, MLFLOW_RUN_NAME: key[:8]}


def child_tags(key: str, unit: str, parent: Run) -> dict[str, str]:
    """What the run of a unit is known by, and whose it is."""
    return {KEY_TAG: key, UNIT_TAG: unit, MLFLOW_RUN_NAME: unit, MLFLOW_PARENT_RUN_ID: parent.info.run_id}


def _record_unit(client: MlflowClient, experiment: str, parent: Run, key: str, unit: UnitRecord) -> str:
    started = min((step.at_s for step in unit.steps), default=0.0)
    run = mlflow_lookup.the_run(client, experiment, child_tags(key, unit.name, parent), started)
    run_id = str(run.info.run_id)
    if run.info.status == FINISHED and _model_of(client, run):
        return run_id
    ended = max((step.at_s for step in unit.steps), default=0.0)
    mlflow_lookup.log_params(client, run, unit.params)
    recoveries = Metric("recoveries", float(len(unit.recoveries)), round(ended * 1000), 0)
    mlflow_lookup.log_missing_metrics(client, run, [*mlflow_lookup.by_step(unit.steps), recoveries])
    client.set_tag(run_id, MLFLOW_RUN_NOTE, _note(unit))
    model = _record_model(client, experiment, run, key, unit)
    linked = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
    if model.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=len(unit.steps))])
    client.set_tag(run_id, SHA256_TAG, model.tags[SHA256_TAG])
    client.set_tag(run_id, MODEL_TAG, model.model_id)
    _finish(client, run, ended)
    return run_id


def _model_of(client: MlflowClient, run: Run) -> LoggedModel | None:
    """The model that a complete run names, or None where somebody has deleted the model, or the tag."""
    model_id = run.data.tags.get(MODEL_TAG)
    return if_there(lambda: client.get_logged_model(model_id)) if model_id else None


def _record_model(client: MlflowClient, experiment: str, run: Run, key: str, unit: UnitRecord) -> LoggedModel:
    """The READY model of this unit, or a new one; READY comes last, so one that is still PENDING was interrupted."""
    for model in _models(client, experiment, key, unit.name):
        if model.status == LoggedModelStatus.READY:
            return model
        client.delete_logged_model(model.model_id)
    made = _made_model(client, experiment, run, key, unit)
    identity = Model(made.artifact_location, run.info.run_id, model_uuid=made.model_id, model_id=made.model_id)
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as scratch:
        folder = Path(scratch) / MODEL_NAME
        sha256 = write_model(folder, unit.model, unit.example, identity)
        client.set_logged_model_tags(made.model_id, {SHA256_TAG: sha256})
        client.log_model_artifacts(made.model_id, str(folder))
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return client.get_logged_model(made.model_id)


def _made_model(client: MlflowClient, experiment: str, run: Run, key: str, unit: UnitRecord) -> LoggedModel:
    tags = {KEY_TAG: key, UNIT_TAG: unit.name}
    params = {name: str(value) for name, value in unit.params.items()}
    return mlflow_lookup.made_once(
        lambda: client.create_logged_model(experiment, MODEL_NAME, run.info.run_id, tags, params, "classifier"),
        lambda: next(iter(_models(client, experiment, key, unit.name)), None),
    )


def _models(client: MlflowClient, experiment: str, key: str, unit: str) -> list[LoggedModel]:
    """The models of a unit, oldest first."""
    found = client.search_logged_models([experiment], f"tags.`{KEY_TAG}` = '{key}' AND tags.`{UNIT_TAG}` = '{unit}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def _note(unit: UnitRecord) -> str:
    if not unit.recoveries:
        return f"{len(unit.steps)} steps without a recovery."
    return "\n".join(f"- {sentence}" for sentence in unit.recoveries)


def _finish(client: MlflowClient, run: Run, ended_s: float) -> None:
    if run.info.status != FINISHED:
        client.set_terminated(run.info.run_id, FINISHED, round(ended_s * 1000))
