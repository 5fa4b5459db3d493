"""A scikit-learn model out of its artefact, without MLflow: loaded, and asked again what it was asked when recorded."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import yaml
from numpy.typing import NDArray

from koboshi.errors import BadInput, Corrupt
from koboshi.serving.protocol import TYPES, BadRequest, Column, Columns, parse

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


class Checked:
    """A model with its example: `holds` tells whether it still gives the recorded answers, to the bit."""

    def __init__(self, model: ScikitModel, example: Columns, expected: list[Any]) -> None:
        """Keep question and answer beside the model."""
        self.model = model
        self._example = example
        self._expected = expected

    def holds(self) -> bool:
        """Make a real prediction and compare it."""
        return self.model.predict(self._example) == self._expected


def load(folder: Path) -> Checked:
    """Load a *verified* artefact and check its answers; skops is no sandbox, so the digest has to be checked before.

    Raises `BadInput` for a model of a kind that is not served, `Corrupt` for answers other than those recorded.
    """
    try:
        description = yaml.safe_load((folder / "MLmodel").read_text())
        flavor = description["flavors"]["sklearn"]
        function = description["flavors"]["python_function"].get("predict_fn", "predict")
        signature = _signature(description["signature"]["inputs"])
        example = parse((folder / "serving_input_example.json").read_bytes(), signature)
        expected = json.loads((folder / "expected_predictions.json").read_text())["predictions"]
    except (OSError, KeyError, TypeError, ValueError, BadRequest) as error:
        raise BadInput(
            f"the artefact is not a scikit-learn model with signature, example and expected predictions ({error!r}): "
            "record it through koboshi.registry.mlflow_runs."
        ) from error
    if flavor["serialization_format"] != "skops" or function not in _FUNCTIONS:
        raise BadInput("only skops artefacts with predict or predict_proba are served: record the model again.")
    try:
        estimator = skops.io.load(folder / flavor["pickled_model"], trusted=flavor.get("skops_trusted_types"))
        checked = Checked(ScikitModel(estimator, function, signature), example, expected)
        holds = checked.holds()
    except Exception as error:
        raise BadInput(f"the model cannot be loaded or asked here ({error!r}): record it again.") from error
    if not holds:
        raise Corrupt("the model answers its own example otherwise than when it was recorded: it is not served.")
    return checked


def _signature(inputs: str) -> list[Column]:
    columns = [Column(spec["name"], spec["type"], spec.get("required", True)) for spec in json.loads(inputs)]
    if unknown := [column.name for column in columns if column.type not in TYPES]:
        raise ValueError(f"columns {unknown} have types that are not served")
    return columns
