"""Rows to learn from: features by name and a label, out of one Parquet file of a dataset, verified."""

import dataclasses
import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from koboshi.errors import BadInput
from koboshi.files import verified_bytes, verify
from koboshi.formats.manifest import DatasetRef
from koboshi.names import resolve

Labels: TypeAlias = NDArray[Any]
ROWS_FILE = "rows.parquet"
LEARN_FILE, WATCH_FILE, JUDGE_FILE = "learn.parquet", "watch.parquet", "judge.parquet"
MANIFEST = "manifest.json"  # a dataset's list of files and their SHA-256, written by whoever made the dataset
_REPAIR = "run the stage that makes it, then submit the training again"


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Features and labels, in the table's order."""

    features: pd.DataFrame
    labels: Labels

    def take(self, at: NDArray[np.intp]) -> "Rows":
        """The rows at these places, in this order."""
        return Rows(self.features.iloc[at], self.labels[at])


@dataclasses.dataclass(frozen=True, slots=True)
class Views:
    """The rows that a unit learns from, and those that its progress is measured on."""

    learn: Rows
    watch: Rows


def views(table: DatasetRef, rows: Mapping[str, Any]) -> Views:
    """What `rows` (JSON values) asks for.

    Either `{"file": "table.parquet", "features": [...], "label": "y"}`, and progress is measured on the rows learnt
    from; or `{"loader": "package.module:function", ...}`, which is called with the table and what else is given, and
    returns `Rows` or `Views`. Raises `BadInput`, and `Corrupt` for a table that is not the one that was ordered.
    """
    given = dict(rows)
    try:
        loaded = (
            resolve(given.pop("loader"), "function")(table, **given) if "loader" in given else read_rows(table, **given)
        )
    except TypeError as error:
        raise BadInput(f"rows does not fit: {error}.") from error
    return loaded if isinstance(loaded, Views) else Views(loaded, loaded)


def read_rows(table: DatasetRef, file: str, features: Sequence[str], label: str) -> Rows:
    """All rows of a Parquet file; features as float64, in the order given."""
    path = _verified(table, file)
    try:
        frame = pd.read_parquet(path, columns=[*features, label])
    except (KeyError, ValueError) as error:
        raise BadInput(f"{path} does not have the columns that rows names: {error}.") from error
    return Rows(frame[list(features)].astype(np.float64), frame[label].to_numpy())


def _digests(table: DatasetRef) -> Mapping[str, str]:
    """The dataset's files, by name, and the digest that its manifest has for each."""
    manifest = verified_bytes(Path(table.path) / MANIFEST, table.manifest_sha256, "manifest", _REPAIR)
    found: Mapping[str, str] = json.loads(manifest)["files"]
    return found


def _verified(table: DatasetRef, file: str) -> Path:
    """A file of a dataset, by the digest that the dataset's manifest has for it."""
    folder, digests = Path(table.path), _digests(table)
    if file not in digests:
        raise BadInput(f"the dataset {folder} has no file {file}: its manifest names {', '.join(sorted(digests))}.")
    verify(folder / file, digests[file], "table", _REPAIR)
    return folder / file


def declared_rows(table: DatasetRef, features: Sequence[str], label: str, share: float) -> Views:
    """What a declared unit learns from and watches.

    Of a dataset with a learn.parquet that file's rows, and those of watch.parquet, or of judge.parquet where there is
    no such file. Else of rows.parquet all rows but the newest `share` of them, and these; its order is that of time.
    """
    if not is_divided(files := _digests(table)):
        return _newest_apart(table, features, label, share)
    watched = WATCH_FILE if WATCH_FILE in files else JUDGE_FILE
    return Views(read_rows(table, LEARN_FILE, features, label), read_rows(table, watched, features, label))


def judged_rows(table: DatasetRef, features: Sequence[str], label: str, share: float) -> Rows:
    """The rows that a model is judged by: those of judge.parquet, or the newest `share` of rows.parquet."""
    if is_divided(_digests(table)):
        return read_rows(table, JUDGE_FILE, features, label)
    return _newest_apart(table, features, label, share).watch


def is_divided(files: Container[str]) -> bool:
    """Whether a dataset says by its files which rows are learnt from."""
    return LEARN_FILE in files


def _newest_apart(table: DatasetRef, features: Sequence[str], label: str, share: float) -> Views:
    rows = read_rows(table, ROWS_FILE, features, label)
    border = len(rows.labels) - round(len(rows.labels) * share)
    if not 0 < border < len(rows.labels):
        raise BadInput(f"{len(rows.labels)} rows cannot be divided to keep {share:.0%} apart: add rows to the dataset.")
    return Views(rows.take(np.arange(border)), rows.take(np.arange(border, len(rows.labels))))
