"""What a training leaves to be recorded: values, and no word of who keeps them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step measured, and when it was committed (`at_s`, seconds since 1970)."""

    step: int
    metrics: Mapping[str, float]
    at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class UnitRecord:
    """One trained unit: a fitted scikit-learn `model`, some rows of its input as `example`.

    `recoveries` are sentences, one for each time that training went on after a failure; they are counted as a metric
    and can be read in the run's description.
    """

    name: str
    params: Mapping[str, Any]
    steps: Sequence[StepRecord]
    recoveries: Sequence[str]
    model: Any
    example: "pd.DataFrame"


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A finished training: the experiment that it belongs to, its key, its parameters, its units."""

    experiment: str
    key: str
    params: Mapping[str, Any]
    units: Sequence[UnitRecord]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training that is under way: its experiment, key and parameters, and by unit those of its units."""

    experiment: str
    key: str
    params: Mapping[str, Any]
    units: Mapping[str, Mapping[str, Any]]
