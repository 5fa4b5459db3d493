"""A registered model itself, past replicas and gateway: what may be asked of it, and what it answers."""

import dataclasses
import json
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd

from koboshi.drills.scenes.aiohttp_load import Questions
from koboshi.errors import BadInput
from koboshi.refs import ModelRef
from koboshi.registry.mlflow_model import check_digest, download
from koboshi.registry.mlflow_registry import MlflowRegistry

SEED = 7


@dataclasses.dataclass(frozen=True, slots=True)
class AskedModel:
    """A version that was loaded by MLflow alone, with the rows of its own example."""

    ref: ModelRef
    example: pd.DataFrame
    model: Any

    def answers(self, rows: pd.DataFrame) -> list[list[Any]]:
        """What it predicts for each row, asked one by one as the replicas are."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow's own code, and of versions that differ in the last place
            return [np.asarray(self.model.predict(rows.iloc[[at]])).tolist() for at in range(len(rows))]


def registered(registry: MlflowRegistry, version: int | None) -> AskedModel:
    """Load a version: its bytes are those that were registered, checked just now. Raises `BadInput` without one."""
    ref = registry.version(version) if version is not None else None
    if ref is None:
        raise BadInput(f"{registry.name} has no such version: promote one first, `make demo` does.")
    what = f"{ref.name} version {ref.version}"
    with tempfile.TemporaryDirectory(prefix="koboshi-model-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = download(registry.tracking_uri, registry.source(ref), Path(folder))
        check_digest(local, ref.sha256, what)
        model = mlflow.pyfunc.load_model(str(local))
        example = model.input_example
    if not isinstance(example, pd.DataFrame):
        raise BadInput(f"{what} has no table as its example, so nothing is known to ask: record it with koboshi.")
    return AskedModel(ref, example, model)


def questions(models: Iterable[AskedModel], count: int) -> Questions:
    """`count` single rows, made of the example's own values, each column drawn for itself; always the same ones."""
    asked = list(models)
    example, draw = asked[0].example, np.random.default_rng(SEED)
    rows = pd.DataFrame(
        {name: example[name].to_numpy()[draw.integers(len(example), size=count)] for name in example.columns}
    )
    bodies = [json.dumps({"dataframe_records": [record]}).encode() for record in rows.to_dict("records")]
    return Questions(bodies, {str(model.ref.version): model.answers(rows) for model in asked})
