"""Registered models past replicas and gateway: what a version answers, and versions of the drill's own to be spoilt."""

import contextlib
import dataclasses
import json
import logging
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import SGDClassifier

from koboshi.drills.drill import Injection
from koboshi.drills.kit.aiohttp_load import Questions
from koboshi.drills.kit.faults import flip_byte
from koboshi.errors import BadInput, KoboshiError
from koboshi.files import tree_digest
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_connection import answering
from koboshi.registry.mlflow_logged_models import SHA256_TAG
from koboshi.registry.mlflow_model import check_digest, download
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.registry.progress import StepRecord, UnitRecord

SEED = 7


@dataclasses.dataclass(frozen=True, slots=True)
class AskedModel:
    """A version that was loaded by MLflow alone, with the rows of its own example."""

    ref: ModelRef
    example: pd.DataFrame
    model: Any

    def answers(self, rows: pd.DataFrame) -> list[list[Any]]:
        """What it predicts for each row, asked one by one as the replicas are."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow's own code, and of versions that differ in the last place
            return [np.asarray(self.model.predict(rows.iloc[[at]])).tolist() for at in range(len(rows))]


def registered(registry: MlflowRegistry, version: int | None) -> AskedModel:
    """Load a version: its bytes are those that were registered, checked just now. Raises `BadInput` without one."""
    ref = registry.version(version) if version is not None else None
    if ref is None:
        raise BadInput(f"{registry.name} has no such version: promote one first, `make demo` does.")
    what = f"{ref.name} version {ref.version}"
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = download(registry.tracking_uri, registry.source(ref), Path(folder))
        check_digest(local, ref.sha256, what)
        model = mlflow.pyfunc.load_model(str(local))
        example = model.input_example
    if not isinstance(example, pd.DataFrame):
        raise BadInput(f"{what} has no table as its example, so nothing is known to ask: record it with koboshi.")
    return AskedModel(ref, example, model)


def questions(models: Iterable[AskedModel], count: int) -> Questions:
    """`count` single rows, made of the example's own values, each column drawn for itself; always the same ones."""
    asked = list(models)
    example, draw = asked[0].example, np.random.default_rng(SEED)
    rows = pd.DataFrame(
        {name: example[name].to_numpy()[draw.integers(len(example), size=count)] for name in example.columns}
    )
    bodies = [json.dumps({"dataframe_records": [record]}).encode() for record in rows.to_dict("records")]
    return Questions(bodies, {str(model.ref.version): model.answers(rows) for model in asked})


MODEL_FILE = "model.skops"
UNIT = "small"
ROWS, COLUMNS = 200, ("a", "b", "c")


class OwnVersions:
    """A registered model and an experiment that nobody else has; `artefacts` is where the server keeps files."""

    def __init__(self, tracking_uri: str, artefacts: Path) -> None:
        """Nothing is made yet."""
        self.name = f"koboshi-drill-{uuid.uuid4().hex[:12]}"
        self.registry = MlflowRegistry(tracking_uri, self.name)
        self._artefacts = artefacts

    def make(self, numbers: Iterable[int]) -> None:
        """Train, record and register versions of these numbers (1 first), which answer differently."""
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of packages that nobody will install
        for number in numbers:
            key = f"{number:064d}"
            record_training(self.registry.tracking_uri, self.name, key, {}, [_small_unit(number)])
            self.registry.register(self.name, key, UNIT)

    def point(self, slot: str, version: int) -> bool:
        """Set a version by hand, as a person would; whether the registry says so afterwards."""
        self.registry.point(slot, version)
        return self.registry.aliased(slot) == version

    def corrupt(self, slot: str, version: int) -> Injection:
        """A byte of the artefact rots, and the version is set."""
        flipped = flip_byte(self._folder(version) / MODEL_FILE, f"the artefact of version {version}")
        return self._set(slot, version, flipped)

    def falsify(self, slot: str, version: int, by: int) -> Injection:
        """Another version's model under this one's example, digest and all in order, and the version is set."""
        folder, before = self._folder(version), self._ref_digest(version)
        shutil.copyfile(self._folder(by) / MODEL_FILE, folder / MODEL_FILE)
        digest = tree_digest(folder)
        with answering(self.registry.tracking_uri):
            self._client.set_model_version_tag(self.name, str(version), SHA256_TAG, digest)
        took = self._ref_digest(version) == digest != before
        what, detail = "model that answers otherwise", f"it has the model of version {by}"
        return self._set(slot, version, Injection(what, f"version {version}", 0, 0, took, None, detail))

    def _set(self, slot: str, version: int, done: Injection) -> Injection:
        """The fault is there from the moment on in which the bad version is set."""
        at_s, at_monotonic, is_set = time.time(), time.monotonic(), self.point(slot, version)
        detail = f"{done.detail}, then set as {slot}"
        return dataclasses.replace(done, at_s=at_s, at_monotonic=at_monotonic, took=done.took and is_set, detail=detail)

    def remove(self) -> None:
        """Take model, experiment and artefacts out of MLflow again."""
        with contextlib.suppress(KoboshiError), answering(self.registry.tracking_uri):
            if self.registry.versions():
                self._client.delete_registered_model(self.name)
            experiment = self._client.get_experiment_by_name(self.name)
            if experiment:
                self._client.delete_experiment(experiment.experiment_id)
                shutil.rmtree(self._artefacts / experiment.experiment_id, ignore_errors=True)

    def _folder(self, version: int) -> Path:
        """Where the server keeps a version's artefact."""
        ref = self.registry.version(version)
        source = self.registry.source(ref) if ref else ""
        return self._artefacts / source.partition(":/")[2].strip("/")

    def _ref_digest(self, version: int) -> str:
        ref = self.registry.version(version)
        return ref.sha256 if ref else ""

    @property
    def _client(self) -> MlflowClient:
        return MlflowClient(self.registry.tracking_uri, registry_uri=self.registry.tracking_uri)


def _small_unit(seed: int) -> UnitRecord:
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(ROWS, len(COLUMNS))), columns=list(COLUMNS))
    model = SGDClassifier(loss="log_loss", random_state=seed).fit(table, (table["a"] > 0).astype("int8"))
    return UnitRecord(UNIT, {"seed": seed}, [StepRecord(1, {}, time.time())], (), model, table.head(8))
