"""One model out of models that learnt apart, pure: the mean of parameters, pooled moments, the trees of one forest.

Sums go through the shares in the order of their numbers, so that no bit depends on who came first. One share alone
comes out as it went in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn import ensemble, linear_model, naive_bayes, neural_network
from sklearn.pipeline import Pipeline

from koboshi.errors import BadInput

_DESCENT = ("coef_", "intercept_", "_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept")
_LAYERS = ("coefs_", "intercepts_")
_MOMENTS = ("ms", "vs", "velocities")  # of Adam, and of descent with momentum


def mean_of_descents(models: Sequence[Any], rows: Sequence[int]) -> Any:
    """SGD: the mean of the coefficients, also of those that are averages over steps; weighted by rows learnt from.

    What is left is the first share's, whose shard is never the smallest: `t_`, on which learning rates depend, says how
    many rows it has seen itself.
    """
    merged, weights = models[0], _weights(rows)
    for name in _DESCENT:
        if getattr(merged, name, None) is not None:
            setattr(merged, name, _mean([getattr(model, name) for model in models], weights))
    return merged


def mean_of_perceptrons(models: Sequence[Any], rows: Sequence[int]) -> Any:
    """MLP: the mean of each layer, and of the optimizer's moments, weighted by rows learnt from.

    Moments that stayed with a share would go on pushing to where its own parameters were before the mean; moments that
    began anew would make Adam's first steps of every round large. The first share's are what cannot have a mean: the
    number of updates, the learning rate, the random numbers of the next shuffle, the curve of the loss.
    """
    merged, weights = models[0], _weights(rows)
    _mean_of_lists(models, _LAYERS, weights)
    _mean_of_lists([model._optimizer for model in models], _MOMENTS, weights)
    return merged


def pooled_bayes(models: Sequence[Any], rows: Sequence[int]) -> Any:  # noqa: ARG001 (a model counts its rows itself)
    """GaussianNB: counts, means and variances of all rows, as of one fit, up to the rounding of sums.

    Moments of parts add up to those of the whole (Chan, Golub, LeVeque: Algorithms for computing the sample variance,
    1983). What scikit-learn adds to every variance, a tiny part of the largest feature's, is made anew for the whole.
    """
    merged = models[0]
    counts = _summed([model.class_count_ for model in models])
    held = np.maximum(counts, 1.0)[:, np.newaxis]
    means = _summed([_by_class(model, model.theta_) for model in models]) / held
    within = _summed([_by_class(m, m.var_ - m.epsilon_ + (m.theta_ - means) ** 2) for m in models]) / held
    merged.class_count_, merged.theta_ = counts, means
    merged.epsilon_ = merged.var_smoothing * _largest_variance(counts, means, within)
    merged.var_ = within + merged.epsilon_
    if merged.priors is None:
        merged.class_prior_ = counts / counts.sum()
    return merged


def one_forest(models: Sequence[Any], steps: int) -> Any:
    """RandomForest, ExtraTrees: all trees, step by step and share by share: the order in which one forest grows them.

    Votes are added up in the trees' order, so it predicts what the forest predicts that was never split, to the bit.
    """
    merged = models[0]
    by_share = [_in_steps(model.estimators_, steps) for model in models]
    merged.estimators_ = [tree for step in zip(*by_share, strict=True) for share in step for tree in share]
    return merged.set_params(n_estimators=len(merged.estimators_))


MEANS: Mapping[str, Callable[[Sequence[Any], Sequence[int]], Any]] = {
    linear_model.SGDClassifier.__name__: mean_of_descents,
    linear_model.SGDRegressor.__name__: mean_of_descents,
    neural_network.MLPClassifier.__name__: mean_of_perceptrons,
    neural_network.MLPRegressor.__name__: mean_of_perceptrons,
}
POOLED = naive_bayes.GaussianNB.__name__
FORESTS = tuple(
    kind.__name__
    for kind in (
        ensemble.RandomForestClassifier,
        ensemble.RandomForestRegressor,
        ensemble.ExtraTreesClassifier,
        ensemble.ExtraTreesRegressor,
    )
)


def merge(models: Sequence[Any], rows: Sequence[int], steps: int) -> Any:
    """One model out of the shares' after step `steps`: the first is changed into it, behind the scaler of all."""
    learners = [model[-1] if isinstance(model, Pipeline) else model for model in models]
    name = type(learners[0]).__name__
    if name in FORESTS:
        one_forest(learners, steps)
    elif len(models) > 1:
        {**MEANS, POOLED: pooled_bayes}[name](learners, rows)
    return models[0]


def refuse_what_cannot_be_split(estimator: str, params: Mapping[str, Any]) -> None:
    """One sentence for a model of which several workers cannot make one; raises `BadInput`."""
    if estimator not in MEANS and estimator not in FORESTS and estimator != POOLED:
        known = ", ".join((*MEANS, POOLED, *FORESTS))
        raise BadInput(
            f"{estimator} cannot be split among workers, each of its steps needs all rows: take one of {known}."
        )
    if params.get("oob_score"):
        raise BadInput(
            f"oob_score of {estimator} needs all trees in one place: leave it out, and measure on other rows."
        )


def _weights(rows: Sequence[int]) -> list[float]:
    return [count / sum(rows) for count in rows]


def _mean(parts: Sequence[Any], weights: Sequence[float]) -> Any:
    return _summed([weight * part for weight, part in zip(weights, parts, strict=True)])


def _summed(parts: Sequence[Any]) -> Any:
    """Added from the first to the last: numpy's own sums go in an order of their choice."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _mean_of_lists(owners: Sequence[Any], names: Sequence[str], weights: Sequence[float]) -> None:
    """Change lists of arrays of the first owner into the means over all owners."""
    for name in names:
        if hasattr(owners[0], name):
            lists = [getattr(owner, name) for owner in owners]
            setattr(owners[0], name, [_mean(parts, weights) for parts in zip(*lists, strict=True)])


def _by_class(model: Any, values: Any) -> Any:
    return model.class_count_[:, np.newaxis] * values


def _largest_variance(counts: Any, means: Any, within: Any) -> Any:
    """The variance over all rows of the feature that varies most, from each class's moments."""
    share = (counts / counts.sum())[:, np.newaxis]
    middle = (share * means).sum(axis=0)
    return (share * (within + (means - middle) ** 2)).sum(axis=0).max()


def _in_steps(trees: Sequence[Any], steps: int) -> list[Sequence[Any]]:
    a_step = len(trees) // steps
    return [trees[at : at + a_step] for at in range(0, len(trees), a_step)]
