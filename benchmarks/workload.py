"""What is trained: one scikit-learn model, in steps that take equally long, so that a pause shows as a pause."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from sklearn.datasets import make_classification

from koboshi.files import sha256_of
from koboshi.formats.manifest import DatasetRef, seal
from koboshi.formats.polars_tables import write_table
from koboshi.settings import Settings
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from koboshi.training.spec import training_key

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


def steady_unit(steps: int, epochs_a_step: int = 60) -> UnitSpec:
    """A linear model by stochastic gradient descent, about 0.25 s a step: no step depends on how many there were."""
    params = {"loss": "log_loss", "random_state": 0}
    given = {"estimator": "SGDClassifier", "epochs_a_step": epochs_a_step, "rows": rows_of(), "params": params}
    return UnitSpec(EPOCHS, {**given, "classes": [0, 1]}, steps)


class Tally:
    """A unit that does next to nothing, so that what is left is the machinery; a step that is lost or doubled shows."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.total = 0

    def start(self, table: DatasetRef) -> None:
        """It asks nothing of the rows."""

    def step(self, number: int) -> Mapping[str, float]:
        """Count on."""
        self.total = self.total * 31 + number
        return {"total": float(self.total)}

    def dump(self) -> bytes:
        """What was counted."""
        return str(self.total).encode()

    def load(self, state: bytes) -> None:
        """Count on from there."""
        self.total = int(state)


def tallied(steps: int) -> bytes:
    """The state of a tally that nothing disturbed."""
    tally = Tally()
    for number in range(1, steps + 1):
        tally.step(number)
    return tally.dump()


def tiny_unit(steps: int) -> UnitSpec:
    """A tally."""
    return UnitSpec(f"{__name__}:Tally", {}, steps)


def new_spec(settings: Settings, table: DatasetRef, units: Mapping[str, UnitSpec], actors: int) -> TrainingSpec:
    """A training that nobody has done yet, in a folder of its own."""
    name = uuid.uuid4().hex[:12]
    folder = settings.state_dir / "runs" / name
    folder.mkdir(parents=True)
    place = RunConfig(str(settings.project), str(folder), f"sqlite:///{folder / 'ledger.db'}", actors)
    return TrainingSpec(training_key(table, units, salt=name), table, units, place)
