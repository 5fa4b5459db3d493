"""What the training drills train: the candidates, smaller, on the demo's table or on a simulated one."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from koboshi.datasets.build import open_verified
from koboshi.datasets.params import load_params
from koboshi.formats.manifest import FILE, seal
from koboshi.formats.polars_tables import write_table
from koboshi.training import UnitSpec
from pipelines.candidates import features_of, fitted_model, probability
from pipelines.columns import LABEL, TABLE
from pipelines.features import FeatureParams, build_features
from pipelines.simulator import Simulation, simulate
from pipelines.splits import Split, training_rows

STEPS = 6
SMALL: Mapping[str, Mapping[str, Any]] = {
    "forest": {"trees_a_step": 3},
    "boosting": {"trees_a_step": 8, "max_leaf_nodes": 15},
    "logistic": {"epochs_a_step": 20, "alpha": 1.0e-4},
}
SHARE = 2  # one card in two is enough
EXAMPLE_ROWS = 5
MEMORY_DAYS = 30  # what a feature looks back on


class CandidateWorkload:
    """Two weeks of rows: one to learn from, one to watch progress on. The forest is the one to be struck."""

    def prepare(self, project: Path, folder: Path) -> Mapping[str, UnitSpec]:
        """Rows of data/features where there are some of the split's training week, else simulated ones."""
        split = load_params(project, "split", Split).model_copy(update={"delay_days": 7})
        rows = _two_weeks(_demo_rows(project), split)
        if rows[LABEL].n_unique() < 2:
            rows = _two_weeks(_simulated_rows(project, split), split)
        write_table(rows, folder / TABLE)
        seal(folder)
        given = {"split": split.model_dump(mode="json"), "seed": 0}
        return {name: UnitSpec(f"pipelines.candidates:{name}", {**given, **own}, STEPS) for name, own in SMALL.items()}

    def predict(self, _unit: str, state: bytes, folder: Path) -> NDArray[np.float64]:
        """P(fraud) of every row of the table."""
        return probability(fitted_model(state), features_of(pl.read_parquet(folder / TABLE)))

    def fitted(self, _unit: str, state: bytes, folder: Path) -> tuple[Any, pd.DataFrame]:
        """The candidate's model, and the table's first rows."""
        return fitted_model(state), features_of(pl.read_parquet(folder / TABLE).head(EXAMPLE_ROWS))


WORKLOAD = CandidateWorkload()


def _two_weeks(rows: pl.DataFrame, split: Split) -> pl.DataFrame:
    weeks = training_rows(rows, split.model_copy(update={"train_days": split.train_days + split.delay_days}))
    return weeks.filter(pl.col("customer_id") % SHARE == 0)


def _demo_rows(project: Path) -> pl.DataFrame:
    features = project / "data" / "features"
    if not (features / FILE).is_file():
        return pl.DataFrame(schema={"tx_datetime": pl.Datetime("us"), "customer_id": pl.Int64, LABEL: pl.Int8})
    return pl.read_parquet(open_verified(features).path(TABLE))


def _simulated_rows(project: Path, split: Split) -> pl.DataFrame:
    days = MEMORY_DAYS + split.train_days + split.delay_days
    first_day = split.start - datetime.timedelta(days=MEMORY_DAYS)
    stream = simulate(Simulation(seed=0, customers=5_000, terminals=10_000, first_day=first_day, days=days))
    labelled = stream.with_columns(pl.col(LABEL).cast(pl.Int8), pl.col("tx_datetime").cast(pl.Datetime("us")))
    ordered = labelled.sort("tx_datetime", "transaction_id")
    return build_features(ordered, load_params(project, "features", FeatureParams))
