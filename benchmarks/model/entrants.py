"""Who is compared: the published models rebuilt as units, today's candidates of params.yaml, and what goes beyond."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.model.week_units import ALL_FEATURES
from koboshi.training import UnitSpec
from pipelines.candidates import TrainParams
from pipelines.columns import FEATURES
from pipelines.splits import Split

OURS = "benchmarks.model.week_units"
BEYOND = f"{OURS}:boosting_more"


@dataclasses.dataclass(frozen=True, slots=True)
class Entrant:
    """One model; `rebuilt` is the published one that it stands for, in the words of pipelines/published.py."""

    name: str
    factory: str
    params: Mapping[str, Any]
    steps: int
    rebuilt: str = ""

    @property
    def ours(self) -> bool:
        """Whether it may become the champion."""
        return not self.rebuilt

    @property
    def features(self) -> tuple[str, ...]:
        """What it is asked with."""
        return ALL_FEATURES if self.factory == BEYOND else FEATURES

    def unit(self, split: Split, seed: int) -> UnitSpec:
        """Its training in one week."""
        own = {"split": split.model_dump(mode="json"), "seed": seed, **self.params}
        return UnitSpec(self.factory, own, self.steps)


def entrants(today: TrainParams) -> list[Entrant]:
    """Everybody, the published first."""
    return [*_PUBLISHED, *_of_today(today), *_BEYOND]


def units(entrants: Sequence[Entrant], weeks: Sequence[Split], seed: int) -> dict[str, UnitSpec]:
    """Each model of each week, named `model/week`."""
    return {unit_name(entrant, week): entrant.unit(week, seed) for week in weeks for entrant in entrants}


def unit_name(entrant: Entrant, week: Split) -> str:
    """The name of its unit: where its checkpoints are, and what the worker's title says while it is at a step."""
    return f"{entrant.name}/{week.start.isoformat()}"


def _of_today(today: TrainParams) -> list[Entrant]:
    return [
        Entrant(name, f"{OURS}:{name}", candidate.model_extra or {}, candidate.steps)
        for name, candidate in today.candidates.items()
    ]


# With scikit-learn's and XGBoost's defaults, as published: a tree is a forest of one that sees every row and feature,
# and XGBoost's peer has its rounds, rate, depth and penalty.
_TREE = {"trees_a_step": 1, "max_depth": 2, "bootstrap": False, "max_features": None}
_DESCENT = {"epochs_a_step": 25, "alpha": 1e-5}
_BOOSTED = {"trees_a_step": 20, "learning_rate": 0.3, "max_depth": 6, "max_leaf_nodes": 64, "l2_regularization": 1.0}
_PUBLISHED = (
    Entrant("logistic-regression", f"{OURS}:logistic", _DESCENT, 4, "logistic regression"),
    Entrant("decision-tree", f"{OURS}:forest", _TREE, 1, "decision tree, depth 2"),
    Entrant("random-forest", f"{OURS}:forest", {"trees_a_step": 20}, 5, "random forest"),
    Entrant("gradient-boosting", f"{OURS}:boosting", _BOOSTED, 5, "XGBoost"),
)
_FINER = {"trees_a_step": 30, "learning_rate": 0.05, "max_leaf_nodes": 8, "l2_regularization": 10.0}
_BEYOND = (Entrant("boosting-more-features", BEYOND, _FINER, 5),)
