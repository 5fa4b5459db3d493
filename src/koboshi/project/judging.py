"""How good models are, by the declared metric or function, on the rows that no unit has learnt from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from sklearn.metrics import get_scorer, get_scorer_names
from threadpoolctl import threadpool_limits

from koboshi.errors import BadInput
from koboshi.formats.manifest import Dataset, DatasetRef
from koboshi.project.declared import Judging, Metric, Training, metric_name
from koboshi.project.project import Project
from koboshi.training import UnitSpec
from koboshi.training.declared import DeclaredUnit
from koboshi.training.pandas_rows import JUDGE_FILE, ROWS_FILE, Rows, is_divided, judged_rows
from koboshi.training.sklearn_units import fitted_model
from koboshi.training.spec import make_unit


def held_out_rows(training: Training, unit: DeclaredUnit, table: Dataset) -> Rows:
    """The rows of the dataset that judge: the columns of one unit."""
    return judged_rows(_ref(table), unit.features, unit.label, training.held_out)


def judged(
    project: Project, training: Training, models: Mapping[str, Any], table: Dataset, out: Path
) -> dict[str, dict[str, float]]:
    """Each unit's metrics by name; the judging function may fill `out`. Raises `BadInput` where it cannot judge."""
    with threadpool_limits(limits=training.threads):
        if project.judging is not None:
            return _by_function(project.judging, models, _rows(training, table), out)
        name = metric_name(training.metric)
        rows = {unit: held_out_rows(training, training.units[unit], table) for unit in models}
        return {unit: {name: score(training.metric or "", model, rows[unit])} for unit, model in models.items()}


def _by_function(
    judging: Judging, models: Mapping[str, Any], rows: pl.DataFrame, out: Path
) -> dict[str, dict[str, float]]:
    found = {unit: dict(metrics) for unit, metrics in judging.function(models, rows, out).items()}
    if missing := [unit for unit in models if judging.deciding not in found.get(unit, {})]:
        raise BadInput(f"the function that judges returns no {judging.deciding} for {', '.join(missing)}: mend it.")
    return found


def _rows(training: Training, table: Dataset) -> pl.DataFrame:
    """All columns of the rows that judge."""
    if is_divided(table.files):
        return pl.read_parquet(table.path(JUDGE_FILE))
    rows = pl.read_parquet(table.path(ROWS_FILE))
    return rows.tail(round(rows.height * training.held_out))


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
