"""What a project declares to be trained: ready-made units for scikit-learn, and units of its own.

    koboshi.boosting(features=["hour"], label="rentals", steps=10)
    koboshi.epochs("SGDRegressor", features=["hour"], label="rentals", steps=10, scale=True)
    koboshi.unit(Trend, features=["hour"], label="rentals", steps=5, alpha=0.1)

A declaration imports nothing of scikit-learn: the workers do. Each unit learns from the dataset's rows but the newest
ones, which are kept for judging: see `held_out` of `Project.train`.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from koboshi.errors import BadInput
from koboshi.training.spec import UnitSpec

Task = Literal["regression", "classification"]
DECLARED_ROWS = "koboshi.training.pandas_rows:declared_rows"
TREES, EPOCHS = "koboshi.training.sklearn_units:trees", "koboshi.training.sklearn_units:epochs"
_SUFFIX = {"regression": "Regressor", "classification": "Classifier"}


@dataclasses.dataclass(frozen=True, slots=True)
class DeclaredUnit:
    """A unit by its factory (`package.module:name`), the columns that it learns from, and its steps.

    A `ready_made` factory is one of koboshi's and gets the rows as JSON values; a unit of the project's own gets the
    names of features and label.
    """

    factory: str
    features: tuple[str, ...]
    label: str
    steps: int
    params: Mapping[str, Any]
    ready_made: bool = False

    def spec(self, held_out: float) -> UnitSpec:
        """The unit as the job gets it; of an undivided dataset a ready-made one learns all but the newest rows."""
        columns = {"features": list(self.features), "label": self.label}
        given = {"rows": {"loader": DECLARED_ROWS, "share": held_out, **columns}} if self.ready_made else columns
        return UnitSpec(self.factory, {**given, **self.params}, self.steps)


def boosting(
    *,
    features: Sequence[str],
    label: str,
    steps: int,
    trees_a_step: int = 10,
    task: Task = "regression",
    watch: Sequence[str] = (),
    **params: Any,
) -> DeclaredUnit:
    """Gradient boosting over histograms; a step adds trees. `params` are those of scikit-learn's class.

    `watch` names the scorers of scikit-learn that are measured after each step; without it R² or the accuracy is.
    """
    of = {"estimator": f"HistGradientBoosting{_SUFFIX[task]}", "trees_a_step": trees_a_step, "metrics": list(watch)}
    return DeclaredUnit(TREES, tuple(features), label, steps, {**of, "params": {"random_state": 0, **params}}, True)


def forest(
    *,
    features: Sequence[str],
    label: str,
    steps: int,
    trees_a_step: int = 10,
    task: Task = "regression",
    watch: Sequence[str] = (),
    **params: Any,
) -> DeclaredUnit:
    """A random forest; a step adds trees. `params` are those of scikit-learn's class, `watch` as in `boosting`."""
    of = {"estimator": f"RandomForest{_SUFFIX[task]}", "trees_a_step": trees_a_step, "metrics": list(watch)}
    own = {"n_jobs": 1, "random_state": 0, **params}
    return DeclaredUnit(TREES, tuple(features), label, steps, {**of, "params": own}, True)


def epochs(
    estimator: str,
    *,
    features: Sequence[str],
    label: str,
    steps: int,
    epochs_a_step: int = 1,
    scale: bool = False,
    classes: Sequence[Any] | None = None,
    watch: Sequence[str] = (),
    **params: Any,
) -> DeclaredUnit:
    """A model with `partial_fit` (SGDClassifier, MLPRegressor, …); a step goes `epochs_a_step` times through the rows.

    With `scale` it stands behind a StandardScaler. `classes` are those that there are, where rows may lack some. The
    order of an epoch is drawn from `random_state`, which is one of the `params`, those of scikit-learn's class.
    """
    own = {"random_state": 0, **params}
    given = {"epochs_a_step": epochs_a_step, "order_seed": own["random_state"], "scale": scale, "metrics": list(watch)}
    given |= {"estimator": estimator, "params": own, "classes": classes and list(classes)}
    return DeclaredUnit(EPOCHS, tuple(features), label, steps, given, True)


def unit(factory: Any, *, features: Sequence[str], label: str, steps: int, **params: Any) -> DeclaredUnit:
    """A unit of the project's own: a class, or a function that makes one, with `start`, `step`, `dump` and `load`.

    It is called with `features`, `label` and `params` (JSON values). To be served it also has `model()`, which returns
    the fitted model: an object of scikit-learn's kind with `predict`.
    """
    return DeclaredUnit(target_of(factory), tuple(features), label, steps, params)


def target_of(thing: Any) -> str:
    """`package.module:name` of a function or class, also where its module runs as a script."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not module or not name.isidentifier():
        raise BadInput(f"{thing!r} has no name that can be imported: declare a function or a class of a module.")
    if module == "__main__" and (spec := sys.modules[module].__spec__) is not None:
        module = spec.name  # python -m package.module
    elif module == "__main__":
        module = Path(sys.modules[module].__file__ or "").stem
    return f"{module}:{name}"
