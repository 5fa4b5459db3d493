"""Small fitted models and their records, quick to make and different from each other."""

import functools
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from koboshi.registry.progress import StepRecord, UnitRecord

COLUMNS = ("a", "b", "c")


@functools.cache
def rows(count: int = 400) -> tuple[pd.DataFrame, Any]:
    """Three numbers, and a label that follows from the first."""
    numbers = np.random.default_rng(7)
    table = pd.DataFrame(numbers.normal(size=(count, len(COLUMNS))), columns=list(COLUMNS))
    return table, (table["a"] + numbers.normal(scale=0.3, size=count) > 0.5).to_numpy().astype("int8")


def fitted(kind: str, seed: int = 0) -> Any:
    """A fitted `logistic`, `forest` or `boosting`."""
    makers: dict[str, Any] = {
        "logistic": lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=seed)),
        "forest": lambda: RandomForestClassifier(5, n_jobs=1, random_state=seed),
        "boosting": lambda: HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=seed),
    }
    return makers[kind]().fit(*rows())


def unit_record(kind: str, seed: int = 0, recoveries: tuple[str, ...] = ()) -> UnitRecord:
    """What a training would record of it, with three steps."""
    steps = [StepRecord(number, {"loss": 1 / number}, 1_800_000_000.0 + number) for number in (1, 2, 3)]
    return UnitRecord(kind, {"seed": seed}, steps, recoveries, fitted(kind, seed), rows()[0].head(4))
