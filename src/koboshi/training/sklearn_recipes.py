"""How scikit-learn's models go on exactly: trees by warm start, epochs by `partial_fit`; anything else is refused.

Both add to what is there and never make up for what is not, so that a state that was lost shows in the model. Random
numbers follow from a seed and from how far the model is: for trees scikit-learn counts those that are there, and the
order of an epoch is drawn from the seed and the epoch's number.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from sklearn import ensemble, linear_model, naive_bayes, neural_network
from sklearn.base import is_classifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from koboshi.errors import BadInput
from koboshi.training.pandas_rows import Labels, Rows

Params = Mapping[str, Any]


class Recipe(Protocol):
    """How a model comes to be, step by step."""

    def fresh(self, rows: Rows) -> Any:
        """The model before step 1."""

    def advance(self, model: Any, number: int, rows: Rows) -> None:
        """Step `number`: a function of the model, the number and the rows, and of nothing else."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Trees:
    """A model of trees: the parameter that says how many there shall be, and how many there are."""

    make: Callable[..., Any]
    total: str
    there: Callable[[Any], int]


def _trees_of(name: str) -> _Trees:
    make = getattr(ensemble, name)
    if name.startswith("Hist"):
        return _Trees(make, "max_iter", lambda model: getattr(model, "n_iter_", 0))
    return _Trees(make, "n_estimators", lambda model: len(getattr(model, "estimators_", ())))


_SEEDS_END = np.iinfo(np.int32).max  # what a forest draws its trees' seeds below
_KINDS = ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees")
TREES = {f"{kind}{task}": _trees_of(f"{kind}{task}") for kind in _KINDS for task in ("Classifier", "Regressor")}
EPOCHS: Mapping[str, Callable[..., Any]] = {
    "SGDClassifier": linear_model.SGDClassifier,
    "SGDRegressor": linear_model.SGDRegressor,
    "MLPClassifier": neural_network.MLPClassifier,
    "MLPRegressor": neural_network.MLPRegressor,
    "GaussianNB": naive_bayes.GaussianNB,
}


class TreesByWarmStart:
    """A step adds `trees_a_step` trees (rounds of them, for boosting) to those that are there."""

    def __init__(self, estimator: str, params: Params, trees_a_step: int) -> None:
        """Raises `BadInput` for a model or a parameter that cannot go on exactly."""
        self._kind = _known(estimator, TREES)
        _at_least_one("trees_a_step", trees_a_step)
        if self._kind.total in params:
            raise BadInput(f"{self._kind.total} of {estimator} follows from trees_a_step and the steps: leave it out.")
        fixed = {"early_stopping": False} if estimator.startswith("Hist") else {}
        self.estimator, self.trees_a_step = estimator, trees_a_step
        self.params = {**fixed, **params, "warm_start": True}
        _refuse_inexact(estimator, params, _made(estimator, self._kind.make, self.params))

    def fresh(self, rows: Rows) -> Any:  # noqa: ARG002 (trees take the rows as they are)
        """A model without trees."""
        return self._kind.make(**self.params)

    def advance(self, model: Any, number: int, rows: Rows) -> None:  # noqa: ARG002 (what is there is the number)
        """Add trees."""
        trees = self._kind.there(model) + self.trees_a_step
        model.set_params(**{self._kind.total: trees}).fit(rows.features, rows.labels)

    def grow(self, model: Any, first: int, count: int, rows: Rows) -> None:
        """Add to a forest only trees `first` to `first + count - 1`, as the forest of all trees has them.

        A tree follows from its seed, and a forest draws one seed for each tree, in their order.
        """
        seeds = np.random.RandomState(self.params["random_state"])
        seeds.randint(_SEEDS_END, size=first)
        grown = self._kind.make(**{**self.params, "warm_start": False, "n_estimators": count, "random_state": seeds})
        grown.fit(rows.features, rows.labels)
        vars(model).update(vars(grown), estimators_=[*getattr(model, "estimators_", []), *grown.estimators_])
        model.set_params(**{**self.params, "n_estimators": len(model.estimators_)})


class EpochsByPartialFit:
    """A step goes through the rows `epochs_a_step` times, each time in an order of its own, in batches if asked.

    With `scale` the model is a pipeline behind a `StandardScaler` that was fitted on all rows to learn from.
    """

    def __init__(
        self,
        estimator: str,
        params: Params,
        epochs_a_step: int = 1,
        rows_a_batch: int | None = None,
        order_seed: int = 0,
        scale: bool = False,
        classes: Sequence[Any] | None = None,
    ) -> None:
        """Raises `BadInput` for a model or a parameter that cannot go on exactly. `classes`: those of the rows."""
        self._make = _known(estimator, EPOCHS)
        self.estimator, self.params = estimator, dict(params)
        _at_least_one("epochs_a_step", epochs_a_step)
        _at_least_one("rows_a_batch", 1 if rows_a_batch is None else rows_a_batch)
        self._epochs_a_step, self._rows_a_batch, self._order_seed = epochs_a_step, rows_a_batch, order_seed
        self._scale, self._classes = scale, classes
        _refuse_inexact(estimator, params, _made(estimator, self._make, self.params))

    def fresh(self, rows: Rows) -> Any:
        """A model that has seen no row, behind its scaler."""
        model = self._make(**self.params)
        return make_pipeline(StandardScaler().fit(rows.features), model) if self._scale else model

    def advance(self, model: Any, number: int, rows: Rows, classes: Labels | None = None) -> None:
        """Some epochs more. `classes`: all that there are, where these rows may lack some."""
        learner = model[-1] if self._scale else model
        features = model[0].transform(rows.features) if self._scale else rows.features
        all_classes = np.unique(rows.labels if classes is None else classes) if self._classes is None else self._classes
        known = {"classes": np.asarray(all_classes)} if is_classifier(learner) else {}
        for epoch in range((number - 1) * self._epochs_a_step, number * self._epochs_a_step):
            order = np.random.default_rng([self._order_seed, epoch]).permutation(len(rows.labels))
            size = self._rows_a_batch or len(order)
            for batch in (order[at : at + size] for at in range(0, len(order), size)):
                some = features.iloc[batch] if hasattr(features, "iloc") else features[batch]
                learner.partial_fit(some, rows.labels[batch], **known)


def _refuse_inexact(estimator: str, given: Params, model: Any) -> None:
    """One sentence for each parameter with which a resumed run would not be the undisturbed one, to the bit."""
    params = model.get_params()
    if "random_state" in params and type(params["random_state"]) is not int:
        raise BadInput(f"random_state of {estimator} has to be a whole number: without one each run draws its own.")
    if "warm_start" in given:
        raise BadInput(f"warm_start of {estimator} is not yours to set: its steps go on in the one way that is exact.")
    if params.get("early_stopping", False) is not False:
        raise BadInput(f"early_stopping of {estimator} has to be false: it would set rows apart anew after a resume.")
    if estimator.startswith("GradientBoosting") and params["n_iter_no_change"] is not None:
        raise BadInput(f"n_iter_no_change of {estimator} stops it early, which is not exact: leave it out.")
    if params.get("n_jobs") not in (None, 1):
        raise BadInput(f"n_jobs of {estimator} has to be 1: threads add up votes in any order; units run in parallel.")


def _known(estimator: str, exact: Mapping[str, Any]) -> Any:
    if estimator not in exact:
        raise BadInput(f"{estimator} cannot go on exactly in this way: take one of {', '.join(exact)}.")
    return exact[estimator]


def _made(estimator: str, make: Callable[..., Any], params: Params) -> Any:
    try:
        return make(**params)
    except TypeError as error:
        raise BadInput(f"the parameters of {estimator} do not fit: {error}.") from error


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise BadInput(f"{name} is {value}, and has to be at least 1.")
