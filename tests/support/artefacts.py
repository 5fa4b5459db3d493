"""Recorded model artefacts in plain folders, and a registry in memory that hands them out."""

import shutil
from pathlib import Path

from mlflow.models import Model

from koboshi.errors import Corrupt
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import write_model
from koboshi.serving.replica import Aliased
from tests.support.models import fitted, rows


def recorded_artefact(folder: Path, kind: str = "logistic", seed: int = 0) -> str:
    """Write a model as the registry room records it; returns its digest."""
    return write_model(folder, fitted(kind, seed), rows()[0].head(4), Model())


class FolderRegistry:
    """A slot whose artefacts are folders; `alias` moves it, `error` is raised instead of an answer."""

    model = "m"

    def __init__(self) -> None:
        self.seen: Aliased | None = None
        self.error: Exception | None = None
        self.fetched: list[int] = []

    def alias(self, version: int, folder: Path, sha256: str) -> ModelRef:
        self.seen = Aliased(ModelRef("m", version, "key", sha256), str(folder))
        return self.seen.ref

    def look(self) -> Aliased | None:
        if self.error is not None:
            raise self.error
        return self.seen

    def fetch(self, seen: Aliased, folder: Path) -> Path:
        self.fetched.append(seen.ref.version)
        if not Path(seen.source).is_dir():
            raise Corrupt("the artefact is gone")
        return shutil.copytree(seen.source, folder / "model")


def flip_a_byte(path: Path) -> None:
    """One bit, in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
