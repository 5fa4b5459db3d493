"""What drills work on: what the settings name, or else what the project declares: its dataset, units and records."""

import dataclasses
import itertools
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from koboshi.datasets.build import open_verified
from koboshi.datasets.span_records import RawBatch
from koboshi.drills.workload import SOUND, Decoded, MeantRecord, StreamWorkload, Workload, lent
from koboshi.errors import NotConfigured
from koboshi.formats.manifest import DatasetRef, seal
from koboshi.formats.polars_tables import write_table
from koboshi.project.declared import Training
from koboshi.project.project import DATA, Project, load_project
from koboshi.project.records import Refused, decoded
from koboshi.settings import Settings
from koboshi.training import UnitSpec
from koboshi.training.declared import DeclaredUnit
from koboshi.training.pandas_rows import LEARN_FILE, ROWS_FILE, is_divided

LEAST_ROWS = 200_000
TRUNCATED = 4
AGAIN = ".again"
ONE_IN = 50  # sound records of which one comes twice
UNDECODABLE = (b"\xff\xfe\x00", b"", b"\x00" * 40, None)


def workload_of(settings: Settings) -> Workload:
    """What drills train: `drills.workload`, or the training that the project declares; else `NotConfigured`."""
    if settings.drills.workload is not None or not settings.pipeline.module:
        workload: Workload = lent("workload", settings.drills.workload)
        return workload
    return of_project(load_project(settings.project, settings.pipeline.module))


def stream_of(settings: Settings) -> StreamWorkload:
    """What drills send: `drills.stream`, or the project's own sample records and decoder; else `NotConfigured`."""
    if settings.drills.stream is not None or not settings.pipeline.module:
        stream: StreamWorkload = lent("stream", settings.drills.stream)
        return stream
    return DeclaredStream(load_project(settings.project, settings.pipeline.module))


class DeclaredWorkload:
    """Declared units, on a dataset that `fill` writes for a drill: rows.parquet, or the rows divided by the files."""

    def __init__(
        self, units: Mapping[str, DeclaredUnit], fill: Callable[[Path, Path], None], held_out: float = 0.2
    ) -> None:
        """`fill` gets the project's folder and the empty one. The first unit is the victim, an only one is there twice.

        Some faults want one unit that gets them beside one that does not.
        """
        self._units = units if len(units) > 1 else {**units, **{f"{name}{AGAIN}": one for name, one in units.items()}}
        self._fill, self._held_out = fill, held_out

    def prepare(self, project: Path, folder: Path) -> Mapping[str, UnitSpec]:
        """The sealed dataset, and the units as they are declared."""
        self._fill(project, folder)
        seal(folder)
        return {name: unit.spec(self._held_out) for name, unit in self._units.items()}

    def predict(self, unit: str, state: bytes, folder: Path) -> NDArray[np.float64]:
        """What the model in a state predicts for the rows that judge it."""
        from koboshi.registry.mlflow_model import predict_function

        model, rows = self.fitted(unit, state, folder)
        answers: NDArray[np.float64] = np.asarray(getattr(model, predict_function(model))(rows))
        return answers

    def fitted(self, unit: str, state: bytes, folder: Path) -> tuple[Any, pd.DataFrame]:
        """The model in a state, and the rows that judge it."""
        from koboshi.project.judging import model_of
        from koboshi.training.pandas_rows import judged_rows

        table, declared = open_verified(folder), self._units[unit]
        ref = DatasetRef(str(folder), table.sha256)
        model = model_of(declared, declared.spec(self._held_out), state, table)
        return model, judged_rows(ref, declared.features, declared.label, self._held_out).features


def of_project(project: Project) -> DeclaredWorkload:
    """The units of `project.train()`, on the dataset that they learn from, repeated until a step can be hit."""
    if project.training is None:
        raise NotConfigured("the project declares no training, and this drill needs one: add project.train(…).")
    training: Training = project.training

    def fill(folder_of_project: Path, folder: Path) -> None:
        if not (source := folder_of_project / DATA / training.on).is_dir():
            raise NotConfigured(f"there is no dataset {DATA}/{training.on} yet: run `koboshi run` first.")
        dataset = open_verified(source)
        for name in dataset.files:
            shutil.copyfile(dataset.path(name), folder / name)
        learnt = LEARN_FILE if is_divided(dataset.files) else ROWS_FILE
        rows = pl.read_parquet(dataset.path(learnt))
        write_table(pl.concat([rows] * math.ceil(LEAST_ROWS / max(rows.height, 1))), folder / learnt)

    return DeclaredWorkload(training.units, fill, training.held_out)


class DeclaredStream:
    """The sample records of the first declared topic, and its decoder."""

    def __init__(self, project: Project) -> None:
        """Raises `NotConfigured` where the project declares no sample records."""
        if not project.topics:
            raise NotConfigured("the project declares no topic, and this drill sends records: add @project.topic(…).")
        self._topic = next(iter(project.topics.values()))

    def records(self, sound: int, oversized_bytes: int) -> Sequence[MeantRecord]:
        """Sample records first, then bytes without meaning, halves of records, an oversized one, and records again."""
        first = [_as_bytes(record) for record in itertools.islice(self._topic.sample(), sound)]
        good = [MeantRecord(SOUND, key, value, "row", _name(value)) for key, value in first]
        poison = [self._meant("undecodable", value) for value in UNDECODABLE]
        poison += [self._meant("truncated", value[: len(value) // 2]) for _, value in first[:TRUNCATED]]
        again = [dataclasses.replace(record, kind="duplicate", fate="duplicate") for record in good[::ONE_IN]]
        return [*good, *poison, self._meant("oversized", b"\x00" * oversized_bytes), *again]

    def decode(self, batches: Iterable[RawBatch], _folder: Path) -> Decoded:
        """Rows are named by their record; a record whose bytes came before is a duplicate."""
        rows, dead, duplicates = dict[str, None](), list[tuple[int, int]](), 0
        for batch in batches:
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                if not self._takes(value):
                    dead.append((batch.partition, offset))
                elif (name := _name(value)) in rows:
                    duplicates += 1
                else:
                    rows[name] = None
        return Decoded(list(rows), dead, duplicates)

    def _meant(self, kind: str, value: bytes | None) -> MeantRecord:
        """A dead letter, unless the project's decoder takes even that."""
        if self._takes(value):
            return MeantRecord(kind, b"0", value, "row", _name(value))
        return MeantRecord(kind, b"0", value, "dead letter")

    def _takes(self, value: bytes | None) -> bool:
        return not isinstance(decoded(self._topic.decode, value), Refused)


def _as_bytes(record: tuple[str, bytes | str]) -> tuple[bytes, bytes]:
    key, value = record
    return key.encode(), value.encode() if isinstance(value, str) else value


def _name(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
