"""A small dataset to learn from: a thousand rows of five features, with noise."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from koboshi.formats.manifest import DatasetRef, seal
from koboshi.training.pandas_rows import Rows, Views, read_rows

FILE, FEATURES, LABEL = "rows.parquet", ["a", "b", "c", "d", "e"], "y"
ROWS: dict[str, Any] = {"file": FILE, "features": FEATURES, "label": LABEL}


def small_table(folder: Path, rows: int = 600) -> DatasetRef:
    rng = np.random.default_rng(3)
    label = (rng.random(rows) < 0.3).astype(np.int64)
    columns = {name: rng.normal(label * 0.8, 1.0) for name in FEATURES}
    pd.DataFrame({**columns, LABEL: label}).to_parquet(folder / FILE)
    return DatasetRef(str(folder), seal(folder))


def no_table(_folder: Path) -> DatasetRef:
    """For units that read nothing."""
    return DatasetRef("/nowhere", hashlib.sha256(b"").hexdigest())


def halves(table: DatasetRef, label: str) -> Views:
    """A loader of a user's own: learns from the first half, watches the second."""
    rows = read_rows(table, FILE, FEATURES, label)
    middle = len(rows.labels) // 2
    return Views(rows.take(np.arange(middle)), rows.take(np.arange(middle, len(rows.labels))))


def one(_table: DatasetRef) -> Rows:
    return Rows(pd.DataFrame({"a": [1.0, 2.0]}), np.array([0, 1]))
