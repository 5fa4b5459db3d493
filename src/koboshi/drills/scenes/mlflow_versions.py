"""Versions of a model of the drill's own: small, recorded as any other, spoilt where they lie, and removed again."""

import contextlib
import logging
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import SGDClassifier

from koboshi.drills.faults.flipped_byte import flip_byte
from koboshi.drills.strike import Strike
from koboshi.errors import KoboshiError
from koboshi.files import tree_digest
from koboshi.registry.mlflow_connection import answering
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import SHA256_TAG, record_training
from koboshi.registry.progress import StepRecord, UnitRecord

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

    def corrupt(self, slot: str, version: int) -> Strike:
        """A byte of the artefact rots, and the version is set."""
        flipped = flip_byte(self._folder(version) / MODEL_FILE, f"the artefact of version {version}")
        at_s, at_monotonic, set_by_hand = time.time(), time.monotonic(), self.point(slot, version)
        detail = f"{flipped.detail}, then set as {slot}"
        return Strike(flipped.fault, flipped.target, at_s, at_monotonic, flipped.took and set_by_hand, None, detail)

    def falsify(self, slot: str, version: int, by: int) -> Strike:
        """Another version's model under this one's example, digest and all in order, and the version is set."""
        folder, before = self._folder(version), self._ref_digest(version)
        shutil.copyfile(self._folder(by) / MODEL_FILE, folder / MODEL_FILE)
        digest = tree_digest(folder)
        with answering(self.registry.tracking_uri):
            self._client.set_model_version_tag(self.name, str(version), SHA256_TAG, digest)
        at_s, at_monotonic, set_by_hand = time.time(), time.monotonic(), self.point(slot, version)
        took = set_by_hand and self._ref_digest(version) == digest != before
        detail = f"it has the model of version {by}, then set as {slot}"
        return Strike("model that answers otherwise", f"version {version}", at_s, at_monotonic, took, None, detail)

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
    numbers = np.random.default_rng(seed)
    table = pd.DataFrame(numbers.normal(size=(ROWS, len(COLUMNS))), columns=list(COLUMNS))
    model = SGDClassifier(loss="log_loss", random_state=seed).fit(table, (table["a"] > 0).astype("int8"))
    return UnitRecord(UNIT, {"seed": seed}, [StepRecord(1, {}, time.time())], (), model, table.head(8))
