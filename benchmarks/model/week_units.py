"""The candidates' recipes as units that learn from one week of a table of many."""

import datetime
from collections.abc import Mapping
from typing import Any

import pandas as pd
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.model.more_features import MORE_FEATURES
from koboshi.formats.manifest import DatasetRef
from koboshi.training.pandas_rows import Rows, Views
from koboshi.training.sklearn_recipes import EpochsByPartialFit, Recipe, TreesByWarmStart
from koboshi.training.sklearn_units import SklearnUnit
from pipelines.candidates import probability
from pipelines.columns import FEATURES, LABEL, TABLE
from pipelines.splits import Split, training_rows

ALL_FEATURES = (*FEATURES, *MORE_FEATURES)


def logistic(split: Mapping[str, Any], seed: int, alpha: float, epochs_a_step: int) -> SklearnUnit:
    """Logistic regression by averaged stochastic gradient descent, over standardised features."""
    params = {"loss": "log_loss", "alpha": alpha, "average": True, "shuffle": False, "random_state": seed}
    descent = EpochsByPartialFit("SGDClassifier", params, epochs_a_step, order_seed=seed, scale=True, classes=(0, 1))
    return _of_week(split, descent, FEATURES)


def forest(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> SklearnUnit:
    """Random forest; a step adds trees to those that are there."""
    params = {"n_jobs": 1, "random_state": seed, **params}
    return _of_week(split, TreesByWarmStart("RandomForestClassifier", params, trees_a_step), FEATURES)


def boosting(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> SklearnUnit:
    """Gradient boosting over histograms; a step adds trees."""
    return _of_week(split, _boosting(seed, trees_a_step, params), FEATURES)


def boosting_more(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> SklearnUnit:
    """Gradient boosting on all features."""
    return _of_week(split, _boosting(seed, trees_a_step, params), ALL_FEATURES)


def features_of(rows: pl.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """A model's input, by name."""
    return pd.DataFrame(rows.select(names).to_numpy(), columns=list(names))


def _boosting(seed: int, trees_a_step: int, params: Mapping[str, Any]) -> Recipe:
    return TreesByWarmStart("HistGradientBoostingClassifier", {"random_state": seed, **params}, trees_a_step)


def _of_week(split: Mapping[str, Any], recipe: Recipe, names: tuple[str, ...]) -> SklearnUnit:
    """It learns from the training week, and is watched on the week of delay."""
    days = Split.model_validate(split)
    later = days.start + datetime.timedelta(days=days.train_days)
    delay = days.model_copy(update={"start": later, "train_days": days.delay_days})

    def load(table: DatasetRef) -> Views:
        rows = pl.read_parquet(table.open().path(TABLE))
        return Views(*(_rows(training_rows(rows, week), names) for week in (days, delay)))

    return SklearnUnit(load, recipe, _watched)


def _rows(rows: pl.DataFrame, names: tuple[str, ...]) -> Rows:
    return Rows(features_of(rows, names), rows[LABEL].to_numpy())


def _watched(model: Any, rows: Rows) -> Mapping[str, float]:
    scores = probability(model, rows.features)
    return {
        "delay_week_auc_roc": float(roc_auc_score(rows.labels, scores)),
        "delay_week_average_precision": float(average_precision_score(rows.labels, scores)),
    }
