"""The version that scores: found in the registry, and loaded as a replica loads it, verified."""

import dataclasses
import functools
from pathlib import Path

from koboshi.errors import BadInput
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_registry import MlflowRegistry
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


def find_version(registry: MlflowRegistry, number: int | None, slot: str, cache: Path) -> Version:
    """Version `number`, or without one the version that the slot points at now.

    Raises `BadInput` when there is none, or when no digest was recorded for it: then nobody can tell its bytes.
    """
    wanted = registry.aliased(slot) if number is None else number
    if wanted is None:
        raise BadInput(f"slot {slot} of model {registry.name} points at no version: promote one, or give a version.")
    ref = registry.version(wanted)
    if ref is None:
        known = ", ".join(str(found.version) for found in sorted(registry.versions(), key=lambda ref: ref.version))
        raise BadInput(f"model {registry.name} has no version {wanted}: MLflow knows {known or 'none of it'}.")
    if not ref.sha256:
        raise BadInput(f"{ref.name} version {ref.version} has no recorded digest: register it with koboshi.")
    return Version(ref, registry.source(ref), registry.tracking_uri, cache)


@functools.lru_cache(maxsize=1)
def model_of(version: Version) -> ScikitModel:
    """The model, once for each process: its artefact's digest checked, and its recorded example answered to the bit.

    The artefact is fetched when this machine does not have it. Raises `Corrupt` for other bytes or other answers.
    """
    reader = MlflowReader(version.tracking_uri, version.ref.name, slot="")
    seen = Aliased(version.ref, version.source)
    fetched = verified_artefact(version.cache, version.ref.sha256, lambda at: reader.fetch(seen, at), version.name)
    return load(fetched).model
