"""Ready-made units for scikit-learn, from JSON values: what a `UnitSpec` needs is a name from here and parameters.

    UnitSpec("koboshi.training.sklearn_units:trees", {"estimator": "RandomForestClassifier", "trees_a_step": 10,
             "params": {"random_state": 0}, "rows": {"file": "t.parquet", "features": ["a", "b"], "label": "y"}}, 20)

A pipeline with rows, metrics or recipes of its own builds a `SklearnUnit` itself. In cross-validation a fold is a unit,
which learns from the other folds' rows and is watched on its own.
"""

import dataclasses
import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import pandas as pd
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.training.pandas_rows import Rows, Views, views
from koboshi.training.sklearn_recipes import EpochsByPartialFit, Recipe, TreesByWarmStart
from koboshi.training.spec import UnitSpec

SHUFFLED = {"KFold": KFold, "StratifiedKFold": StratifiedKFold}
SPLITTERS = (*SHUFFLED, "TimeSeriesSplit")


@dataclasses.dataclass(frozen=True, slots=True)
class Fold:
    """Fold `number` (1 is the first) of `folds`, split `by`; with a seed the rows are shuffled before."""

    number: int
    folds: int
    by: str = "StratifiedKFold"
    seed: int | None = None

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """The fold that a unit's parameters describe; raises `BadInput`."""
        try:
            fold = cls(**fields)
        except TypeError as error:
            raise BadInput(f"fold does not fit: {error}.") from error
        if fold.by not in SPLITTERS:
            raise BadInput(f"fold.by is {fold.by}: take one of {', '.join(SPLITTERS)}.")
        if fold.folds < 2 or not 1 <= fold.number <= fold.folds:
            raise BadInput(f"there is no fold {fold.number} of {fold.folds}: of 5, say, they are 1 to 5.")
        if fold.seed is not None and fold.by not in SHUFFLED:
            raise BadInput(f"fold.seed shuffles, and {fold.by} is about the order of the rows: leave it out.")
        return fold


def folds(unit: UnitSpec, count: int, by: str = "StratifiedKFold", seed: int | None = None) -> dict[str, UnitSpec]:
    """The folds of one ready-made unit as units `fold-1` to `fold-<count>`."""
    parts = [Fold.of_json({"number": number, "folds": count, "by": by, "seed": seed}) for number in range(1, count + 1)]
    return {
        f"fold-{part.number}": UnitSpec(unit.factory, {**unit.params, "fold": dataclasses.asdict(part)}, unit.steps)
        for part in parts
    }


def held_out(rows: Rows, fold: Fold) -> Views:
    """A fold's rows to watch, and the others to learn from."""
    if fold.by in SHUFFLED:
        splitter = SHUFFLED[fold.by](fold.folds, shuffle=fold.seed is not None, random_state=fold.seed)
    else:
        splitter = TimeSeriesSplit(fold.folds)
    try:
        learn, watch = list(splitter.split(rows.features, rows.labels))[fold.number - 1]
    except ValueError as error:
        raise BadInput(f"{len(rows.labels)} rows cannot be split into {fold.folds} folds: {error}.") from error
    return Views(rows.take(learn), rows.take(watch))


Measure = Callable[[Any, Rows], Mapping[str, float]]
DEFAULTS = {True: ("accuracy",), False: ("r2",)}  # by whether it is a classifier: what each of them can tell


class SklearnUnit:
    """A `koboshi.training.Unit`: rows, a recipe that adds to a model, and what is measured after each step."""

    def __init__(self, load: Callable[[DatasetRef], Views], recipe: Recipe, measure: Measure) -> None:
        self.views_of, self.recipe, self.measure = load, recipe, measure

    def start(self, table: DatasetRef) -> None:
        """Read the rows, and make the model that stands before step 1."""
        self._views = self.views_of(table)
        self._model = self.recipe.fresh(self._views.learn)

    def step(self, number: int) -> Mapping[str, float]:
        """Learn, then look at the rows that are watched."""
        self.recipe.advance(self._model, number, self._views.learn)
        return self.measure(self._model, self._views.watch)

    def dump(self) -> bytes:
        """The model, pickled: the digest in the ledger guards it against corruption, not against an attacker."""
        return pickle.dumps(self._model, protocol=5)

    def load(self, state: bytes) -> None:
        """Take up a model that `dump` gave."""
        self._model = fitted_model(state)


def warm_up() -> None:
    """Have scikit-learn and pandas import what they put off until they first see a data frame."""
    frame = pd.read_parquet(io.BytesIO(pd.DataFrame({"x": [0.0, 1.0], "y": [0, 1]}).to_parquet()))
    rows = Rows(frame[["x"]], frame["y"].to_numpy())
    recipe = EpochsByPartialFit("SGDClassifier", {"random_state": 0})
    model = recipe.fresh(rows)
    recipe.advance(model, 1, rows)
    _scorers(())(model, rows)


def trees(
    estimator: str,
    trees_a_step: int,
    rows: Mapping[str, Any],
    params: Mapping[str, Any],
    fold: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
) -> SklearnUnit:
    """Boosting and forests (`sklearn_recipes.TREES`): each step adds trees. `metrics` are names of scorers."""
    return _unit(TreesByWarmStart(estimator, params, trees_a_step), rows, fold, metrics)


def epochs(
    estimator: str,
    rows: Mapping[str, Any],
    params: Mapping[str, Any],
    epochs_a_step: int = 1,
    rows_a_batch: int | None = None,
    order_seed: int = 0,
    scale: bool = False,
    classes: Sequence[Any] | None = None,
    fold: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
) -> SklearnUnit:
    """Models with `partial_fit` (`sklearn_recipes.EPOCHS`): each step goes through all rows, in the same batches."""
    recipe = EpochsByPartialFit(estimator, params, epochs_a_step, rows_a_batch, order_seed, scale, classes)
    return _unit(recipe, rows, fold, metrics)


def fitted_model(state: bytes) -> Any:
    """The model in a checkpoint, whose digest the caller has checked."""
    return pickle.loads(state)


def predictions(state: bytes, table: DatasetRef, params: Mapping[str, Any]) -> Any:
    """What a ready-made unit predicts for the rows that it reads: what a model is compared by.

    For a model whose state also says how it was computed: HistGradientBoosting keeps the number of threads.
    """
    model, features = fitted_model(state), views(table, params["rows"]).learn.features
    return (getattr(model, "predict_proba", None) or model.predict)(features)


def _unit(recipe: Recipe, rows: Mapping[str, Any], fold: Mapping[str, Any] | None, names: Sequence[str]) -> SklearnUnit:
    part = None if fold is None else Fold.of_json(fold)

    def load(table: DatasetRef) -> Views:
        loaded = views(table, rows)
        return loaded if part is None else held_out(loaded.learn, part)

    return SklearnUnit(load, recipe, _scorers(names))


def _scorers(names: Sequence[str]) -> Measure:
    """What scikit-learn calls scorers: the larger the better."""
    for name in names:
        try:
            get_scorer(name)
        except ValueError:
            raise BadInput(f"scikit-learn has no scorer {name}: see sklearn.metrics.get_scorer_names().") from None

    def measure(model: Any, rows: Rows) -> Mapping[str, float]:
        chosen = names or DEFAULTS[is_classifier(model)]
        return {name: float(get_scorer(name)(model, rows.features, rows.labels)) for name in chosen}

    return measure
