"""The candidates' table, small: three weeks of 150 rows a day."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from koboshi.datasets.build import open_verified
from koboshi.formats.manifest import seal
from koboshi.refs import DatasetRef
from pipelines.candidates import features_of, fitted_model, probability
from pipelines.columns import FEATURES, KEYS, LABEL, TABLE

SPLIT = {"start": "2018-07-25", "train_days": 7, "delay_days": 7, "test_days": 7}


def candidate_table(folder: Path) -> DatasetRef:
    """A twentieth of the rows are fraud, and their features tell them, with noise."""
    rng, rows = np.random.default_rng(1), 21 * 150
    fraud = rng.random(rows) < 0.05
    start = datetime.datetime(2018, 7, 25)
    columns = {
        **{name: np.arange(rows) for name in KEYS},
        "tx_datetime": [start + datetime.timedelta(minutes=9.6 * row) for row in range(rows)],
        LABEL: fraud.astype(np.int8),
        **{name: rng.normal(fraud * 0.5, 1.0) for name in FEATURES},
    }
    pl.DataFrame(columns).write_parquet(folder / TABLE)
    seal(folder)
    return DatasetRef(str(folder), open_verified(folder).sha256)


def predictions(state: bytes, table: DatasetRef, _params: Any = None) -> NDArray[np.float64]:
    """P(fraud) of every row."""
    return probability(fitted_model(state), features_of(pl.read_parquet(Path(table.path) / TABLE)))
