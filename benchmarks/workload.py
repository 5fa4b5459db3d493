"""What is trained: one scikit-learn model, in steps that take equally long, so that a pause shows as a pause."""

import dataclasses
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.datasets import make_classification
from threadpoolctl import threadpool_limits

from koboshi.datasets.manifest import seal
from koboshi.datasets.polars_tables import write_table
from koboshi.files import sha256_of
from koboshi.refs import DatasetRef
from koboshi.settings import Settings
from koboshi.training import TrainingSpec, UnitSpec, Workplace
from koboshi.training.sklearn_units import predictions
from koboshi.training.spec import training_key
from koboshi.training.unit import make_unit

FILE = "rows.parquet"
ROWS, COLUMNS = 20_000, 15
EPOCHS = "koboshi.training.sklearn_units:epochs"


def rows_of(columns: int = COLUMNS, file: str = FILE) -> dict[str, Any]:
    """The block `rows` of a ready-made unit's parameters."""
    return {"file": file, "features": [f"x{i}" for i in range(columns)], "label": "y"}


def write_rows(folder: Path, rows: int = ROWS, columns: int = COLUMNS) -> DatasetRef:
    """A sealed dataset of made-up rows, the same each time."""
    folder.mkdir(parents=True, exist_ok=True)
    features, labels = make_classification(rows, columns, n_informative=columns // 2, flip_y=0.05, random_state=0)
    table = pl.DataFrame({f"x{i}": features[:, i] for i in range(columns)}).with_columns(y=pl.Series(labels))
    write_table(table, folder / FILE)
    seal(folder)
    return DatasetRef(str(folder), sha256_of(folder / "manifest.json"))


def steady_unit(steps: int, epochs_a_step: int = 45) -> UnitSpec:
    """A linear model by stochastic gradient descent, about 0.2 s a step: no step depends on how many there were."""
    params = {"loss": "log_loss", "random_state": 0}
    given = {"estimator": "SGDClassifier", "epochs_a_step": epochs_a_step, "rows": rows_of(), "params": params}
    return UnitSpec(EPOCHS, {**given, "classes": [0, 1]}, steps)


def tiny_unit(steps: int) -> UnitSpec:
    """A naive Bayes model of two hundred rows: next to nothing, so that what is left is the machinery."""
    given = {"estimator": "GaussianNB", "rows": rows_of(columns=4), "params": {}, "classes": [0, 1]}
    return UnitSpec(EPOCHS, given, steps)


def new_spec(settings: Settings, table: DatasetRef, units: Mapping[str, UnitSpec], actors: int) -> TrainingSpec:
    """A training that nobody has done yet, in a folder of its own."""
    name = uuid.uuid4().hex[:12]
    folder = settings.state_dir / "runs" / name
    folder.mkdir(parents=True)
    place = Workplace(str(settings.project), str(folder), f"sqlite:///{folder / 'ledger.db'}", actors)
    return TrainingSpec(training_key(table, units, salt=name), table, units, place)


@dataclasses.dataclass(frozen=True)
class Control:
    """What the undisturbed work comes to: the metrics of each step, and the last model's predictions."""

    metrics: list[dict[str, float]]
    predictions: bytes


def straight(unit: UnitSpec, table: DatasetRef) -> Control:
    """The unit's steps one after another in this process: no worker, no checkpoint, no fault."""
    with threadpool_limits(limits=1):
        done = make_unit(unit.factory, unit.params)
        done.start(table)
        metrics = [dict(done.step(number)) for number in range(1, unit.steps + 1)]
        return Control(metrics, predicted(done.dump(), table, unit))


def predicted(state: bytes, table: DatasetRef, unit: UnitSpec) -> bytes:
    """The predictions of a final state for all rows, to be compared bit by bit."""
    with threadpool_limits(limits=1):
        return np.ascontiguousarray(predictions(state, table, unit.params)).tobytes()
