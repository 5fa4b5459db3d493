"""One model trained by many workers: shares of it are units, their final states are merged into the model.

    units = data_parallel(UnitSpec("koboshi.training.sklearn_units:epochs", {...}, steps=10), shares=3)
    model = merged(states)  # of units "model/0", "model/1" and "model/2" after their last step

A share is an ordinary unit with checkpoints and step commits of its own, so a death costs the share of a round that was
in hand, and nothing of the others'. How the work is split follows from the model:

SGD, MLP                  Synchronous rounds. A round is one step of every share: it goes on from the mean of all shares
                          after the round before, and learns from its own shard of the rows. This is parameter averaging
                          (Zinkevich, Weimer, Smola, Li: Parallelized stochastic gradient descent, NIPS 2010) in rounds,
                          as in federated averaging with all clients in each round (McMahan, Moore, Ramage, Hampson,
                          Agüera y Arcas: Communication-efficient learning of deep networks from decentralized data,
                          AISTATS 2017): `epochs_a_step` is its E. The model is another one than without shares.
GaussianNB                Each share counts its own shard, nobody waits. The model is that of one fit on all rows, up to
                          the rounding of sums.
RandomForest, ExtraTrees  Each share grows its own trees of each step, on all rows, from the seeds that these trees have
                          in the undivided forest; nobody waits. The model predicts what that forest does, to the bit.

Bits depend on the unit's parameters and the number of shares (for forests not even on that), and on nothing else: not
on how many workers there are, who is first, and what died.
"""

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from koboshi.errors import BadInput
from koboshi.formats.manifest import DatasetRef
from koboshi.training.pandas_rows import Rows, Views
from koboshi.training.sklearn_merging import FORESTS, MEANS, merge, refuse_what_cannot_be_split
from koboshi.training.sklearn_recipes import EpochsByPartialFit, TreesByWarmStart
from koboshi.training.sklearn_units import SklearnUnit
from koboshi.training.sklearn_units import warm_up as warm_up
from koboshi.training.spec import UnitSpec, make_unit

FACTORY = f"{__name__}:share"


def data_parallel(unit: UnitSpec, shares: int, name: str = "model") -> dict[str, UnitSpec]:
    """The shares of one model as units `name/0` to `name/<shares-1>`, of the same number of steps.

    `unit`: a ready-made one, or any whose factory returns a `SklearnUnit`. Raises `BadInput` for what cannot be split.
    """
    width = len(str(shares - 1))
    whole = {"factory": unit.factory, "params": dict(unit.params)}
    numbered: dict[str, dict[str, Any]] = {
        f"{name}/{number:0{width}d}": {"unit": whole, "number": number, "of": shares} for number in range(shares)
    }
    if not numbered:
        raise BadInput(f"a model cannot have {shares} shares: give it one or more.")
    gang = name if {isinstance(share(**params), Averaging) for params in numbered.values()} == {True} else ""
    return {
        one: dataclasses.replace(unit, factory=FACTORY, params=params, gang=gang) for one, params in numbered.items()
    }


def share(unit: Mapping[str, Any], number: int, of: int) -> "Share":
    """The factory of share `number` (0 is the first) of a model split into `of`; raises `BadInput`."""
    inner = make_unit(unit["factory"], unit["params"])
    if not isinstance(inner, SklearnUnit):
        raise BadInput(f"{unit['factory']} gives no SklearnUnit: give a unit of your own a gang and the method join.")
    recipe = inner.recipe
    if not isinstance(recipe, EpochsByPartialFit | TreesByWarmStart):
        raise BadInput(f"a {type(recipe).__name__} cannot be split among workers: take a recipe of sklearn_recipes.")
    refuse_what_cannot_be_split(recipe.estimator, recipe.params)
    kind = Averaging if recipe.estimator in MEANS else Growing if recipe.estimator in FORESTS else Share
    return kind(inner, number, of)


@dataclasses.dataclass(frozen=True, slots=True)
class ShareState:
    """What a share's checkpoint holds: its model after `step`, and how many rows that learnt from."""

    model: Any
    number: int
    of: int
    step: int
    rows: int


class Share:
    """A `koboshi.training.Unit`: learns from every `of`-th row, beginning with row `number`."""

    def __init__(self, unit: SklearnUnit, number: int, of: int) -> None:
        """Share `number` of a unit's model."""
        self._unit, self._number, self._of = unit, number, of

    def start(self, table: DatasetRef) -> None:
        """Read the rows, keep this share's; the model before step 1 (its scaler, say) is that of all rows."""
        whole = self._unit.views_of(table)
        self._model, self._step = self._unit.recipe.fresh(whole.learn), 0
        self._classes = np.unique(whole.learn.labels)
        self._views = self._kept(whole)

    def step(self, number: int) -> Mapping[str, float]:
        """Learn, then look at the rows that are watched; where none are set apart, at those of this share."""
        self._advance(number)
        self._step = number
        return self._unit.measure(self._model, self._views.watch)

    def dump(self) -> bytes:
        """The share's model after its newest step, before anything is merged."""
        rows = len(self._views.learn.labels)
        return pickle.dumps(ShareState(self._model, self._number, self._of, self._step, rows), protocol=5)

    def load(self, state: bytes) -> None:
        """Take up this share where nobody waits for the others."""
        found: ShareState = pickle.loads(state)
        self._model, self._step = found.model, found.step

    def _kept(self, whole: Views) -> Views:
        mine = _every(whole.learn, self._number, self._of)
        return Views(mine, mine if whole.watch is whole.learn else whole.watch)

    def _advance(self, number: int) -> None:
        cast(EpochsByPartialFit, self._unit.recipe).advance(self._model, number, self._views.learn, self._classes)


class Averaging(Share):
    """A share that goes on from the mean of all shares."""

    def join(self, states: Sequence[bytes]) -> None:
        """Begin a round: take up what `merged` makes of all shares' states after the round before."""
        found = _in_order(states)
        self._model, self._step = _merged(found), found[0].step


class Growing(Share):
    """Some trees of each step of one forest, on all rows."""

    def __init__(self, unit: SklearnUnit, number: int, of: int) -> None:
        """Raises `BadInput` when there would be no tree for each share in each step."""
        super().__init__(unit, number, of)
        self._recipe = cast(TreesByWarmStart, unit.recipe)
        if self._recipe.trees_a_step < of:
            raise BadInput(
                f"{self._recipe.trees_a_step} trees a step are too few for {of} shares: give each at least one."
            )

    def _kept(self, whole: Views) -> Views:
        return whole

    def _advance(self, number: int) -> None:
        trees = self._recipe.trees_a_step
        first, end = (trees * part // self._of for part in (self._number, self._number + 1))
        self._recipe.grow(self._model, trees * (number - 1) + first, end - first, self._views.learn)


def merged(states: Sequence[bytes]) -> Any:
    """The one model of all shares' states after one and the same step, given in any order; pure.

    Raises `BadInput` when a share is missing or not as far as the others.
    """
    return _merged(_in_order(states))


def _merged(found: Sequence[ShareState]) -> Any:
    return merge([state.model for state in found], [state.rows for state in found], found[0].step)


def _in_order(states: Sequence[bytes]) -> list[ShareState]:
    found: list[ShareState] = sorted(map(pickle.loads, states), key=lambda state: state.number)
    if not found or [state.number for state in found] != list(range(found[0].of)):
        numbers = ", ".join(str(state.number) for state in found) or "none"
        raise BadInput(
            f"a model is merged from all of its shares, each once, and these are {numbers}: give all states."
        )
    if len(told := {state.step for state in found}) > 1:
        raise BadInput(
            f"shares are merged after the same step, and these are after {sorted(told)}: train them to the end."
        )
    return found


def _every(rows: Rows, first: int, stride: int) -> Rows:
    if len(rows.labels) < stride:
        raise BadInput(f"{len(rows.labels)} rows cannot be split among {stride} shares: use fewer shares.")
    return rows.take(np.arange(first, len(rows.labels), stride))
