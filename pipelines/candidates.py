"""The candidates: scikit-learn classifiers that learn in steps, and resume to the bit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import koboshi
from pipelines.columns import FEATURES, LABEL

Floats = NDArray[np.float64]
WATCHED = ("roc_auc", "average_precision")
GIVEN: Mapping[str, Any] = {"features": FEATURES, "label": LABEL, "watch": WATCHED}


class CandidateParams(BaseModel):
    """How many steps a candidate takes; what else is given is its own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    steps: int = Field(ge=1)


class TrainParams(koboshi.Params):
    """The block `train` of params.yaml."""

    seed: int = Field(ge=0)
    threads: int = Field(ge=1)
    candidates: Mapping[str, CandidateParams] = Field(min_length=1)


def logistic(**own: Any) -> koboshi.DeclaredUnit:
    """Logistic regression by averaged stochastic gradient descent, over standardised features."""
    fixed: Mapping[str, Any] = {"loss": "log_loss", "average": True, "shuffle": False}
    return koboshi.epochs("SGDClassifier", scale=True, classes=(0, 1), **GIVEN, **fixed, **own)


def forest(**own: Any) -> koboshi.DeclaredUnit:
    """Random forest; a step adds trees to those that are there."""
    return koboshi.forest(task="classification", **GIVEN, **own)


def boosting(**own: Any) -> koboshi.DeclaredUnit:
    """Gradient boosting over histograms; a step adds trees."""
    return koboshi.boosting(task="classification", **GIVEN, **own)


KINDS: Mapping[str, Callable[..., koboshi.DeclaredUnit]] = {
    "logistic": logistic,
    "forest": forest,
    "boosting": boosting,
}


def declared(params: TrainParams) -> dict[str, koboshi.DeclaredUnit]:
    """The candidates as units. Raises `BadInput` for a name that is not one of `KINDS`."""
    if strangers := sorted(set(params.candidates) - set(KINDS)):
        raise koboshi.BadInput(
            f"train.candidates in params.yaml has {', '.join(strangers)}, and pipelines/candidates.py makes "
            f"{', '.join(KINDS)}: name one of these."
        )
    return {
        name: KINDS[name](steps=one.steps, random_state=params.seed, **(one.model_extra or {}))
        for name, one in params.candidates.items()
    }


def probability(model: Any, features: pd.DataFrame) -> Floats:
    """P(fraud) of each row."""
    scores: Floats = model.predict_proba(features)[:, 1]
    return scores


def features_of(rows: pl.DataFrame) -> pd.DataFrame:
    """The model's input: the published features, in their order, by name."""
    return pd.DataFrame(rows.select(FEATURES).to_numpy(), columns=list(FEATURES))
