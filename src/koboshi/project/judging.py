"""How good a model is: the declared metric, on the rows that no unit has learnt from."""

from typing import Any

from sklearn.metrics import get_scorer, get_scorer_names

from koboshi.errors import BadInput
from koboshi.formats.manifest import Dataset
from koboshi.project.declared import Metric, Training
from koboshi.refs import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.declared import ROWS_FILE, DeclaredUnit
from koboshi.training.pandas_rows import Rows, newest_apart
from koboshi.training.sklearn_units import fitted_model
from koboshi.training.unit import make_unit


def held_out_rows(training: Training, unit: DeclaredUnit, table: Dataset) -> Rows:
    """The newest rows of the dataset: the columns of one unit."""
    return newest_apart(_ref(table), ROWS_FILE, unit.features, unit.label, training.held_out).watch


def model_of(unit: DeclaredUnit, spec: UnitSpec, state: bytes, table: Dataset) -> Any:
    """The fitted model in a unit's state, whose digest the caller has checked."""
    if unit.ready_made:
        return fitted_model(state)
    made: Any = make_unit(spec.factory, spec.params)
    if not hasattr(made, "model"):
        raise BadInput(f"{spec.factory} has no method model(), which returns the fitted model: add it to be served.")
    made.start(_ref(table))
    made.load(state)
    return made.model()


def score(metric: Metric, model: Any, rows: Rows) -> float:
    """What the metric says of a model: the larger the better. Raises `BadInput` for a metric or a model that cannot."""
    if isinstance(metric, str) and metric not in get_scorer_names():
        raise BadInput(f"scikit-learn has no scorer {metric}: see sklearn.metrics.get_scorer_names().")
    try:
        if isinstance(metric, str):
            return float(get_scorer(metric)(model, rows.features, rows.labels))
        return float(metric(rows.labels, model.predict(rows.features)))
    except Exception as error:
        raise BadInput(f"the metric {metric} cannot judge the model ({type(error).__name__}: {error}).") from error


def _ref(table: Dataset) -> DatasetRef:
    return DatasetRef(str(table.folder), table.sha256)
