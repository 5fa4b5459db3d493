"""A unit of pipelines/candidates.py on the published features and those beyond them."""

import datetime
from collections.abc import Mapping
from typing import Any

import pandas as pd
import polars as pl

from benchmarks.model.more_features import MORE_FEATURES
from koboshi.refs import DatasetRef
from koboshi.training.pandas_rows import Rows, Views
from koboshi.training.sklearn_units import SklearnUnit
from pipelines import candidates
from pipelines.columns import FEATURES, LABEL
from pipelines.splits import Split, training_rows

ALL_FEATURES = (*FEATURES, *MORE_FEATURES)


def boosting(split: Mapping[str, Any], **params: Any) -> SklearnUnit:
    """Gradient boosting on all features."""
    return _on_all_features(candidates.boosting(split, **params), split)


def features_of(rows: pl.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """A model's input, by name."""
    return pd.DataFrame(rows.select(names).to_numpy(), columns=list(names))


def _on_all_features(unit: SklearnUnit, split: Mapping[str, Any]) -> SklearnUnit:
    """The same recipe, watched on the same week of delay."""
    days = Split.model_validate(split)
    later = days.start + datetime.timedelta(days=days.train_days)
    delay = days.model_copy(update={"start": later, "train_days": days.delay_days})

    def load(table: DatasetRef) -> Views:
        rows = candidates.read_table(table)
        return Views(_rows(training_rows(rows, days)), _rows(training_rows(rows, delay)))

    return SklearnUnit(load, unit.recipe, unit.measure)


def _rows(rows: pl.DataFrame) -> Rows:
    return Rows(features_of(rows, ALL_FEATURES), rows[LABEL].to_numpy())
