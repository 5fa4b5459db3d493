"""Versions and aliases in MLflow's registry: a version carries the key of its training and its artefact's digest."""

import tempfile
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from koboshi.errors import Conflict
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_connection import answering, connect, if_there
from koboshi.registry.mlflow_logged_models import SHA256_TAG
from koboshi.registry.mlflow_lookup import KEY_TAG, UNIT_TAG, made_once
from koboshi.registry.mlflow_model import check_digest, download
from koboshi.registry.mlflow_runs import recorded_model


class MlflowRegistry:
    """One registered model of a tracking server: its versions by key, and its aliases."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        """Name a model; nothing is asked or made yet."""
        self.tracking_uri = tracking_uri
        self.name = name
        self._client: MlflowClient = connect(tracking_uri)

    def register(self, experiment: str, key: str, unit: str) -> tuple[ModelRef, bool]:
        """The version of a trained unit, and whether it was made just now.

        Key: the tags koboshi.key and koboshi.unit, looked up first. Commit: the version's row, made with its tags in
        one request, after the artefact's bytes were found to be those that the run recorded. If a race or a repeated
        request made several versions, the lowest number is the model. Raises `Corrupt` for other bytes, `Conflict`
        when the unit has no finished run.
        """
        if found := self.find(key, unit):
            return found, False
        model = recorded_model(self.tracking_uri, experiment, key, unit)
        with tempfile.TemporaryDirectory(prefix="koboshi-model-") as folder:
            local = download(self.tracking_uri, model.source, Path(folder))
            check_digest(local, model.sha256, f"run {model.run_id} ({unit})")
        tags = {KEY_TAG: key, UNIT_TAG: unit, SHA256_TAG: model.sha256}
        with answering(self.tracking_uri):
            if self._model() is None:
                made_once(lambda: self._client.create_registered_model(self.name), self._model)
            make = partial(self._client.create_model_version, self.name, model.source, model.run_id, tags=tags)
            made_once(partial(make, model_id=model.model_id, await_creation_for=0), lambda: self.find(key, unit))
        registered = self.find(key, unit)
        if registered is None:
            raise Conflict(
                f"version of {unit} was made in MLflow and cannot be found: look at model {self.name} there."
            )
        return registered, True

    def find(self, key: str, unit: str) -> ModelRef | None:
        """The lowest version with this key and unit, or None."""
        query = f"name = '{self.name}' AND tags.`{KEY_TAG}` = '{key}' AND tags.`{UNIT_TAG}` = '{unit}'"
        with answering(self.tracking_uri):
            versions = self._client.search_model_versions(query)
        return min(map(_handle, versions), key=lambda ref: ref.version, default=None)

    def versions(self) -> list[ModelRef]:
        """All versions, whoever registered them."""
        with answering(self.tracking_uri):
            return [_handle(version) for version in self._client.search_model_versions(f"name = '{self.name}'")]

    def version(self, number: int) -> ModelRef | None:
        """A version's handle, or None when it was deleted."""
        with answering(self.tracking_uri):
            return if_there(lambda: _handle(self._client.get_model_version(self.name, str(number))))

    def source(self, ref: ModelRef) -> str:
        """Where a version's artefact lies."""
        with answering(self.tracking_uri):
            return str(self._client.get_model_version_download_uri(ref.name, str(ref.version)))

    def aliased(self, alias: str) -> int | None:
        """The version that an alias points at, or None."""
        with answering(self.tracking_uri):
            model = self._model()
        return int(model.aliases[alias]) if model and alias in model.aliases else None

    def point(self, alias: str, version: int) -> None:
        """Let an alias point at a version. MLflow compares nothing: look first, under an intent (`release`)."""
        with answering(self.tracking_uri):
            self._client.set_registered_model_alias(self.name, alias, str(version))

    def _model(self) -> RegisteredModel | None:
        return if_there(lambda: self._client.get_registered_model(self.name))


def _handle(version: ModelVersion) -> ModelRef:
    tags = version.tags
    return ModelRef(version.name, int(version.version), tags.get(KEY_TAG, ""), tags.get(SHA256_TAG, ""))
