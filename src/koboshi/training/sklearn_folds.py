"""Cross-validation: a fold is a unit, which learns from the other folds' rows and is watched on its own."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

from koboshi.errors import BadInput
from koboshi.training.pandas_rows import Rows, Views
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
