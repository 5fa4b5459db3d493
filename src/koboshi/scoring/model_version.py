"""The version that scores, and its model: loaded as a replica loads it, verified. Without MLflow, which is heavy."""

import dataclasses
import functools
from pathlib import Path

from koboshi.refs import ModelRef
from koboshi.serving.artefacts import verified_artefact
from koboshi.serving.following import Aliased
from koboshi.serving.mlflow_reader import MlflowReader
from koboshi.serving.sklearn_model import ScikitModel, load


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A registered version, where its artefact lies, and the folder where artefacts are kept by digest."""

    ref: ModelRef
    source: str
    tracking_uri: str
    cache: Path

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.ref.name} version {self.ref.version}"


@functools.lru_cache(maxsize=1)
def model_of(version: Version) -> ScikitModel:
    """The model, once for each process: its artefact's digest checked, and its recorded example answered to the bit.

    The artefact is fetched when this machine does not have it. Raises `Corrupt` for other bytes or other answers.
    """
    reader = MlflowReader(version.tracking_uri, version.ref.name, slot="")
    seen = Aliased(version.ref, version.source)
    fetched = verified_artefact(version.cache, version.ref.sha256, lambda at: reader.fetch(seen, at), version.name)
    return load(fetched).model
