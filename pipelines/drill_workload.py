"""What the training drills train: the candidates, smaller, on simulated weeks. The forest is the one to be struck."""

import datetime
from pathlib import Path

import polars as pl

from koboshi.drills import DeclaredWorkload
from pipelines.candidates import boosting, forest, logistic
from pipelines.columns import LABEL
from pipelines.features import FeatureParams, build_features
from pipelines.simulator import Simulation, simulate
from pipelines.splits import Split, write_weeks

STEPS = 6
UNITS = {
    "forest": forest(steps=STEPS, trees_a_step=3),
    "boosting": boosting(steps=STEPS, trees_a_step=8, max_leaf_nodes=15),
    "logistic": logistic(steps=STEPS, epochs_a_step=20, alpha=1.0e-4),
}
CARDS, TERMINALS = 2_500, 5_000  # half of the published ones are enough
MEMORY_DAYS = 30  # what a feature looks back on
WEEKS = Split(start=datetime.date(2018, 7, 25), train_days=7, delay_days=0, test_days=7)
FEATURES = FeatureParams(night_until_hour=6, weekend_from_weekday=5, label_delay_days=7)


def simulated_weeks(_project: Path, folder: Path) -> None:
    """One week to learn from and one to judge by; nothing of the project's own data."""
    first_day, days = WEEKS.start - datetime.timedelta(days=MEMORY_DAYS), MEMORY_DAYS + WEEKS.train_days
    simulation = Simulation(seed=0, customers=CARDS, terminals=TERMINALS, first_day=first_day, days=days + 7)
    stream = simulate(simulation).with_columns(
        pl.col(LABEL).cast(pl.Int8), pl.col("tx_datetime").cast(pl.Datetime("us"))
    )
    write_weeks(build_features(stream.sort("tx_datetime", "transaction_id"), FEATURES), WEEKS, folder)


WORKLOAD = DeclaredWorkload(UNITS, simulated_weeks)
