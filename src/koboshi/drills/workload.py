"""What a project lends to the drills: something small to train, records of its stream, and its own decoder."""

import dataclasses
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from koboshi.datasets.span_records import RawBatch
from koboshi.errors import NotConfigured
from koboshi.training import UnitSpec


class Workload(Protocol):
    """Named by the setting `drills.workload`. Steps should take some tenths of a second: a kill needs a middle."""

    def prepare(self, project: Path, folder: Path) -> Mapping[str, UnitSpec]:
        """Write a sealed dataset into `folder` and say what to train on it; the first unit is the victim."""

    def predict(self, unit: str, state: bytes, folder: Path) -> NDArray[np.float64]:
        """What the final state of a unit, as `prepare` names it, predicts for rows of that dataset."""

    def fitted(self, unit: str, state: bytes, folder: Path) -> tuple[Any, Any]:
        """A unit's final state as a fitted scikit-learn model, and a few of the dataset's rows to ask it, as pandas."""


SOUND = "sound"
Fate = Literal["row", "duplicate", "dead letter"]


@dataclasses.dataclass(frozen=True, slots=True)
class MeantRecord:
    """A record, and what has to become of it; `kind` says in which way it is poison, or `SOUND`.

    `row` names the row that it becomes, or that it says again.
    """

    kind: str
    key: bytes | None
    value: bytes | None
    fate: Fate
    row: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """What was made of raw records: rows by name, dead letters by place (partition, offset), how many duplicates."""

    rows: Sequence[str]
    dead_letters: Sequence[tuple[int, int]]
    duplicates: int


class StreamWorkload(Protocol):
    """Named by the setting `drills.stream`."""

    def records(self, sound: int, oversized_bytes: int) -> Sequence[MeantRecord]:
        """So many sound records for one topic, and some of each kind of poison, among them one of that size."""

    def decode(self, batches: Iterable[RawBatch], folder: Path) -> Decoded:
        """What the project's own code makes of such records; `folder` is empty, and may be used."""


def lent(name: Literal["workload", "stream"], target: str | None) -> Any:
    """What the setting `drills.workload` or `drills.stream` names; raises `NotConfigured` when it names nothing."""
    if target is None:
        raise NotConfigured(f"no {name} is set for drills: set drills.{name} in koboshi.toml.")
    try:
        found = pkgutil.resolve_name(target)
        if isinstance(found, ModuleType):
            raise AttributeError(f"module {target!r} is no object in a module: write package.module:name")
    except (ImportError, AttributeError, ValueError) as error:
        raise NotConfigured(f"setting drills.{name}: {target} cannot be loaded ({error}).") from error
    return found
