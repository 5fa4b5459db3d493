"""The candidates: scikit-learn classifiers that learn in steps, and resume to the bit.

Each factory takes the JSON values of params.yaml, the split among them, and says what is learnt from, by which of
koboshi's recipes, and what is watched.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from koboshi.datasets.build import open_verified
from koboshi.errors import Corrupt
from koboshi.refs import DatasetRef
from koboshi.training.pandas_rows import Rows, Views
from koboshi.training.sklearn_recipes import EpochsByPartialFit, Recipe, TreesByWarmStart
from koboshi.training.sklearn_units import SklearnUnit, fitted_model, warm_up
from pipelines.columns import FEATURES, LABEL, TABLE
from pipelines.splits import Split, training_rows

__all__ = ["boosting", "features_of", "fitted_model", "forest", "logistic", "probability", "read_table", "warm_up"]

Floats = NDArray[np.float64]
CLASSES = (0, 1)


def logistic(split: Mapping[str, Any], seed: int, alpha: float, epochs_a_step: int) -> SklearnUnit:
    """Logistic regression by averaged stochastic gradient descent, over standardised features."""
    params = {"loss": "log_loss", "alpha": alpha, "average": True, "shuffle": False, "random_state": seed}
    descent = EpochsByPartialFit("SGDClassifier", params, epochs_a_step, order_seed=seed, scale=True, classes=CLASSES)
    return _candidate(split, descent)


def forest(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> SklearnUnit:
    """Random forest; a step adds trees to those that are there."""
    params = {"n_jobs": 1, "random_state": seed, **params}
    return _candidate(split, TreesByWarmStart("RandomForestClassifier", params, trees_a_step))


def boosting(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> SklearnUnit:
    """Gradient boosting over histograms; a step adds trees."""
    params = {"random_state": seed, **params}
    return _candidate(split, TreesByWarmStart("HistGradientBoostingClassifier", params, trees_a_step))


def _candidate(split: Mapping[str, Any], recipe: Recipe) -> SklearnUnit:
    days = Split.model_validate(split)

    def load(table: DatasetRef) -> Views:
        rows = read_table(table)
        return Views(_rows(training_rows(rows, days)), _rows(_delay_rows(rows, days)))

    return SklearnUnit(load, recipe, _watched)


def _watched(model: Any, rows: Rows) -> Mapping[str, float]:
    """The week of delay: nobody learns from it or is judged by it, so it may be watched."""
    scores = probability(model, rows.features)
    return {
        "delay_week_auc_roc": float(roc_auc_score(rows.labels, scores)),
        "delay_week_average_precision": float(average_precision_score(rows.labels, scores)),
    }


def probability(model: Any, features: pd.DataFrame) -> Floats:
    """P(fraud) of each row."""
    scores: Floats = model.predict_proba(features)[:, 1]
    return scores


def read_table(table: DatasetRef) -> pl.DataFrame:
    """The features table, verified; raises `Corrupt` when it is not the one that the training was ordered for."""
    dataset = open_verified(Path(table.path))
    if dataset.sha256 != table.manifest_sha256:
        raise Corrupt(f"{table.path} has changed since the training was submitted: run the train stage again.")
    return pl.read_parquet(dataset.path(TABLE))


def features_of(rows: pl.DataFrame) -> pd.DataFrame:
    """The model's input: the published features, in their order, by name."""
    return pd.DataFrame(rows.select(FEATURES).to_numpy(), columns=list(FEATURES))


def _rows(rows: pl.DataFrame) -> Rows:
    return Rows(features_of(rows), rows[LABEL].to_numpy())


def _delay_rows(table: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The rows between training and test week; where there is no delay, those learnt from."""
    if split.delay_days == 0:
        return training_rows(table, split)
    date = pl.col("tx_datetime").dt.date()
    return table.filter((date >= split.start + datetime.timedelta(days=split.train_days)) & (date < split.test_start))
