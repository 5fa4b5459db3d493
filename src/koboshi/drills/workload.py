"""What a project lends to the training drills: something small to train, and a way to ask what came out."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from koboshi.errors import NotConfigured
from koboshi.training import UnitSpec


class Workload(Protocol):
    """Named by the setting `drills.workload`. Steps should take some tenths of a second: a kill needs a middle."""

    def prepare(self, project: Path, folder: Path) -> Mapping[str, UnitSpec]:
        """Write a sealed dataset into `folder` and say what to train on it; the first unit is the one to be struck."""

    def predict(self, state: bytes, folder: Path) -> NDArray[np.float64]:
        """What a unit's final state predicts for rows of that dataset."""

    def fitted(self, state: bytes, folder: Path) -> tuple[Any, Any]:
        """A unit's final state as a fitted scikit-learn model, and a few of the dataset's rows to ask it, as pandas."""


def load_workload(target: str | None) -> Workload:
    """Import `package.module:name`."""
    if target is None:
        raise NotConfigured("no workload is set for drills: set drills.workload in koboshi.toml.")
    module, _, name = target.partition(":")
    try:
        workload: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotConfigured(f"setting drills.workload: {target} cannot be loaded ({error}).") from error
    found: Workload = workload
    return found
