"""A unit's model in MLflow: named by its unit, found by its tags before it is made, READY after its last file."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model

from koboshi.registry import mlflow_lookup
from koboshi.registry.mlflow_connection import if_there
from koboshi.registry.mlflow_lookup import KEY_TAG, UNIT_TAG
from koboshi.registry.mlflow_model import predict_function, write_model
from koboshi.registry.progress import UnitRecord

SHA256_TAG = "koboshi.sha256"
MODEL_TAG = "koboshi.model_id"
MODEL_FOLDER = "model"


def model_of(client: MlflowClient, run: Run) -> LoggedModel | None:
    """The model that a complete run names, or None where somebody has deleted the model, or the tag."""
    model_id = run.data.tags.get(MODEL_TAG)
    return if_there(lambda: client.get_logged_model(model_id)) if model_id else None


def recorded(client: MlflowClient, experiment: str, run: Run, key: str, unit: UnitRecord) -> LoggedModel:
    """The READY model of this unit, or a new one; READY comes last, so one that is still PENDING was interrupted."""
    for model in _models(client, experiment, key, unit.name):
        if model.status == LoggedModelStatus.READY:
            return model
        client.delete_logged_model(model.model_id)
    made = _made_model(client, experiment, run, key, unit)
    identity = Model(made.artifact_location, run.info.run_id, model_uuid=made.model_id, model_id=made.model_id)
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as scratch:
        folder = Path(scratch) / MODEL_FOLDER
        sha256 = write_model(folder, unit.model, unit.example, identity)
        client.set_logged_model_tags(made.model_id, {SHA256_TAG: sha256})
        client.log_model_artifacts(made.model_id, str(folder))
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return client.get_logged_model(made.model_id)


def _made_model(client: MlflowClient, experiment: str, run: Run, key: str, unit: UnitRecord) -> LoggedModel:
    tags = {KEY_TAG: key, UNIT_TAG: unit.name}
    params = {name: str(value) for name, value in unit.params.items()}
    name, kind = model_name(unit.name), "classifier" if predict_function(unit.model) == "predict_proba" else "regressor"
    return mlflow_lookup.made_once(
        lambda: client.create_logged_model(experiment, name, run.info.run_id, tags, params, kind),
        lambda: next(iter(_models(client, experiment, key, unit.name)), None),
    )


def model_name(unit: str) -> str:
    """What a unit's model is called; MLflow refuses some characters there."""
    return re.sub(r"[/:.%\"']", "-", unit)


def _models(client: MlflowClient, experiment: str, key: str, unit: str) -> list[LoggedModel]:
    """The models of a unit, oldest first."""
    found = client.search_logged_models([experiment], f"tags.`{KEY_TAG}` = '{key}' AND tags.`{UNIT_TAG}` = '{unit}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def log_last_step(
    client: MlflowClient, run: Run, model: LoggedModel, unit: UnitRecord, there: Sequence[Metric], on: Mapping[str, str]
) -> None:
    """The model's own metrics are those of the unit's last step, at the time at which the run has them (`there`)."""
    last = unit.steps[-1] if unit.steps else None
    own = [metric for metric in there if last and metric.step == last.step and metric.key in last.metrics]
    mlflow_lookup.log_metrics(client, run.info.run_id, also_of(model, own, on))


def link(client: MlflowClient, run: Run, model: LoggedModel, step: int) -> None:
    """The model is an output of its run; `run` is as it was found."""
    linked = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
    if model.model_id not in linked:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=step)])


def also_of(model: LoggedModel, metrics: Sequence[Metric], on: Mapping[str, str]) -> list[Metric]:
    """A run's metrics as those of its model, too, without what the model says last already; `on` is the dataset.

    MLflow keeps one value of a model's metric for each time and step: another value comes a millisecond later.
    """
    last = {(old.key, old.step): old for old in sorted(model.metrics or (), key=lambda old: old.timestamp)}
    new = [(metric, last.get((metric.key, metric.step))) for metric in metrics]
    return [
        Metric(m.key, m.value, max(m.timestamp, old.timestamp + 1 if old else 0), m.step, model.model_id, **on)
        for m, old in new
        if old is None or old.value != m.value
    ]
