"""The candidates: scikit-learn classifiers that learn in steps, and resume to the bit.

Each factory takes the JSON values of params.yaml, the split among them. What a step does is chosen so that a run with
breaks equals a run without: epochs of stochastic gradient descent in an order that depends on seed and epoch alone,
and trees added by warm start (whose random numbers follow from the seed and the number of trees that are there). A step
only adds to what is there and never makes up for what is not, so a state that was lost would show in the model.
"""

import dataclasses
import datetime
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from koboshi.datasets.manifest import open_verified
from koboshi.errors import Corrupt
from koboshi.refs import DatasetRef
from pipelines.columns import FEATURES, LABEL, TABLE
from pipelines.splits import Split, training_rows

Floats = NDArray[np.float64]
CLASSES = np.array([0, 1])


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Features and labels, in the table's order."""

    features: pd.DataFrame
    labels: NDArray[np.int8]


class Candidate:
    """A `koboshi.training.Unit`: `fresh` makes the model from the rows to learn from, `advance` does a step of it."""

    def __init__(
        self, split: Mapping[str, Any], fresh: Callable[[Rows], Any], advance: Callable[[Any, int, Rows], None]
    ) -> None:
        self._split, self._fresh, self._advance = Split.model_validate(split), fresh, advance

    def start(self, table: DatasetRef) -> None:
        """Read the rows, and make the model that stands before step 1."""
        rows = read_table(table)
        self._learn, self._watch = _rows(training_rows(rows, self._split)), _rows(_delay_rows(rows, self._split))
        self._model = self._fresh(self._learn)

    def step(self, number: int) -> Mapping[str, float]:
        """Learn, then look at the week of delay: nobody learns from it or is judged by it, so it may be watched."""
        self._advance(self._model, number, self._learn)
        scores = probability(self._model, self._watch.features)
        return {
            "delay_week_auc_roc": float(roc_auc_score(self._watch.labels, scores)),
            "delay_week_average_precision": float(average_precision_score(self._watch.labels, scores)),
        }

    def dump(self) -> bytes:
        """The model, pickled: the digest in the ledger guards it against corruption, not against an attacker."""
        return pickle.dumps(self._model, protocol=5)

    def load(self, state: bytes) -> None:
        """Take up a model that `dump` gave."""
        self._model = fitted_model(state)


def logistic(split: Mapping[str, Any], seed: int, alpha: float, epochs_a_step: int) -> Candidate:
    """Logistic regression by averaged stochastic gradient descent, over standardised features."""

    def fresh(rows: Rows) -> Any:
        descent = SGDClassifier(loss="log_loss", alpha=alpha, average=True, shuffle=False, random_state=seed)
        return make_pipeline(StandardScaler().fit(rows.features), descent)

    def advance(model: Any, number: int, rows: Rows) -> None:
        scaled = model[0].transform(rows.features)
        for epoch in range((number - 1) * epochs_a_step, number * epochs_a_step):
            order = np.random.default_rng([seed, epoch]).permutation(len(scaled))
            model[1].partial_fit(scaled[order], rows.labels[order], classes=CLASSES)

    return Candidate(split, fresh, advance)


def forest(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> Candidate:
    """Random forest; a step adds trees to those that are there."""

    def fresh(_rows: Rows) -> Any:
        return RandomForestClassifier(warm_start=True, n_jobs=1, random_state=seed, **params)

    def advance(model: Any, _number: int, rows: Rows) -> None:
        there = len(getattr(model, "estimators_", ()))
        model.set_params(n_estimators=there + trees_a_step).fit(rows.features, rows.labels)

    return Candidate(split, fresh, advance)


def boosting(split: Mapping[str, Any], seed: int, trees_a_step: int, **params: Any) -> Candidate:
    """Gradient boosting over histograms; a step adds trees. No early stopping, which would set rows apart."""

    def fresh(_rows: Rows) -> Any:
        return HistGradientBoostingClassifier(warm_start=True, early_stopping=False, random_state=seed, **params)

    def advance(model: Any, _number: int, rows: Rows) -> None:
        there = getattr(model, "n_iter_", 0)
        model.set_params(max_iter=there + trees_a_step).fit(rows.features, rows.labels)

    return Candidate(split, fresh, advance)


def fitted_model(state: bytes) -> Any:
    """The scikit-learn model in a checkpoint, whose digest the caller has checked."""
    return pickle.loads(state)


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
