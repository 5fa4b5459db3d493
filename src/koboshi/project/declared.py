"""What a project declares: stages, a training, samples. Small frozen values, without effect."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from koboshi.errors import BadInput
from koboshi.names import one_part
from koboshi.training.declared import DeclaredUnit, target_of

CODE, TRAIN, EVALUATE = "code", "train", "evaluate"
RESERVED = frozenset({CODE, TRAIN, EVALUATE})

ValueT = TypeVar("ValueT")
Decode: TypeAlias = Callable[[bytes], Any]
Build: TypeAlias = Callable[[Path], None]
Sample: TypeAlias = Callable[[], Iterable[tuple[str, bytes | str]]]
"""Records for a first try: (key, value) pairs, the same ones each time."""
Metric: TypeAlias = str | Callable[[Any, Any], float]
"""A scorer of scikit-learn by name, or a function of true and predicted labels; the larger the better."""
Units: TypeAlias = Mapping[str, DeclaredUnit] | Callable[[], Mapping[str, DeclaredUnit]]
Judge: TypeAlias = Callable[[Mapping[str, Any], Any, Path], Mapping[str, Mapping[str, float]]]
"""Of models by unit, the rows that judge (polars) and a folder for curves and pictures: each unit's metrics by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """A topic: what its records mean, and some for a first try."""

    name: str
    decode: Decode
    sample: Sample


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A function that fills the folder of a dataset; `deps` are files of the project and names of earlier stages."""

    name: str
    build: Build
    deps: tuple[str, ...]
    params: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse names that are no folder of a dataset, or koboshi's own."""
        one_part(self.name, "the stage")
        if self.name in RESERVED:
            raise BadInput(f"a stage cannot be named {self.name}: koboshi makes one of that name, choose another one.")


def value_of(given: ValueT | Callable[[], ValueT]) -> ValueT:
    """What was given, or what the function returns that was given in its place."""
    return given() if callable(given) else given


def metric_name(metric: Metric | None) -> str:
    """The scorer's name, or that of the function."""
    return metric if isinstance(metric, str) else target_of(metric).partition(":")[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Judging:
    """A function that judges all units at once, the metric that decides between them, and the blocks that it reads."""

    function: Judge
    by: str | Callable[[], str]
    params: tuple[str, ...]

    @property
    def deciding(self) -> str:
        """The name of the metric that decides."""
        return value_of(self.by)


@dataclasses.dataclass(frozen=True)
class Training:
    """Units that learn from the dataset of a stage; `held_out` is the share of its newest rows that judges them.

    What was given as a function is called when it is first asked for, and not where it is declared.
    """

    on: str
    units_given: Units
    metric: Metric | None
    held_out: float
    threads_given: int | Callable[[], int]
    max_drop_given: float | Callable[[], float]
    params: tuple[str, ...]

    @functools.cached_property
    def units(self) -> Mapping[str, DeclaredUnit]:
        """The units by name."""
        if not (units := dict(value_of(self.units_given))):
            raise BadInput("project.train() has no units: give at least one.")
        return units

    @functools.cached_property
    def threads(self) -> int:
        """How many threads the numerical libraries may use."""
        if (threads := value_of(self.threads_given)) < 1:
            raise BadInput(f"project.train() has threads = {threads}: give at least 1.")
        return threads

    @functools.cached_property
    def max_drop(self) -> float:
        """How much worse than the best that was served a version may be."""
        if (drop := value_of(self.max_drop_given)) < 0:
            raise BadInput(f"project.train() has max_drop = {drop}: give at least 0.")
        return drop

    def __post_init__(self) -> None:
        """Refuse what could not be trained or judged."""
        for name in ("units", "threads", "max_drop"):
            if not callable(getattr(self, f"{name}_given")):
                getattr(self, name)
        if not 0 < self.held_out < 1:
            raise BadInput(f"project.train() has held_out = {self.held_out!r}: give a share between 0 and 1.")
        if not (self.metric is None or isinstance(self.metric, str) or callable(self.metric)):
            raise BadInput(f"project.train() has metric = {self.metric!r}: name a scorer, or give a function.")
