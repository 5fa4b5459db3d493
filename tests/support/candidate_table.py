"""The candidates' table, small: three weeks of 150 rows a day."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from koboshi.datasets.build import open_verified
from koboshi.formats.manifest import DatasetRef, seal
from koboshi.training.sklearn_units import fitted_model
from pipelines.candidates import features_of, probability
from pipelines.columns import FEATURES, KEYS, LABEL
from pipelines.splits import Split, write_weeks

SPLIT = Split(start=datetime.date(2018, 7, 25), train_days=7, delay_days=7, test_days=7)


def candidate_table(folder: Path, split: Split = SPLIT) -> DatasetRef:
    """A twentieth of the rows are fraud, and their features tell them, with noise; divided into weeks."""
    rng, rows = np.random.default_rng(1), 21 * 150
    fraud = rng.random(rows) < 0.05
    start = datetime.datetime(2018, 7, 25)
    columns = {
        **{name: np.arange(rows) for name in KEYS},
        "tx_datetime": [start + datetime.timedelta(minutes=9.6 * row) for row in range(rows)],
        LABEL: fraud.astype(np.int8),
        **{name: rng.normal(fraud * 0.5, 1.0) for name in FEATURES},
    }
    rows_of_weeks = pl.DataFrame(columns).with_columns(pl.col("tx_datetime").cast(pl.Datetime("us")))
    write_weeks(rows_of_weeks, split, folder)
    seal(folder)
    return DatasetRef(str(folder), open_verified(folder).sha256)


def predictions(state: bytes, table: DatasetRef, _params: Any = None) -> NDArray[np.float64]:
    """P(fraud) of every row that judges."""
    return probability(fitted_model(state), features_of(pl.read_parquet(Path(table.path) / "judge.parquet")))
