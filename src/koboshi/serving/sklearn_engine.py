"""The engine of scikit-learn models, out of their artefacts and without MLflow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray

from koboshi.errors import BadInput
from koboshi.serving.protocol import Column, Columns

_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}
_FUNCTIONS = frozenset({"predict", "predict_proba"})


class ScikitModel:
    """A loaded model: its signature, and its answers. Predictions may run in several threads at once."""

    def __init__(self, estimator: Any, function: str, signature: Sequence[Column]) -> None:
        """Take over a fitted estimator; `function` is what is served of it."""
        self.signature = tuple(signature)
        self._predict = getattr(estimator, function)

    def predict(self, columns: Columns) -> list[Any]:
        """One answer for each row: a number, a label, or a list of probabilities."""
        answers: list[Any] = self.answers(columns).tolist()
        return answers

    def answers(self, columns: Mapping[str, Any]) -> NDArray[Any]:
        """The same answers as an array; columns may be arrays, too."""
        frame = pd.DataFrame({name: self._array(name, values) for name, values in columns.items()})
        return np.asarray(self._predict(frame))

    def _array(self, name: str, values: Any) -> Any:
        kind = next(column.type for column in self.signature if column.name == name)
        return np.asarray(values, dtype=_DTYPES[kind]) if kind in _DTYPES else values


def open_model(folder: Path, flavor: Mapping[str, Any], function: str, signature: Sequence[Column]) -> ScikitModel:
    """Load a *verified* artefact; skops is no sandbox, so the digest has to be checked before.

    Raises `BadInput` for a model of a kind that is not served, and whatever the loading raises.
    """
    if flavor["serialization_format"] != "skops" or function not in _FUNCTIONS:
        raise BadInput("only skops artefacts with predict or predict_proba are served: record the model again.")
    estimator = skops.io.load(folder / flavor["pickled_model"], trusted=flavor.get("skops_trusted_types"))
    return ScikitModel(estimator, function, signature)
