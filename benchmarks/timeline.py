"""What a fault cost, pure: from the moments at which steps were begun and committed, all on one wall clock."""

import dataclasses
import itertools
import statistics
from collections.abc import Collection, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """A worker began a step; a peer's has one unit, and no name for it."""

    step: int
    pid: int
    at_s: float
    unit: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """A step counts from now on."""

    step: int
    at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """From the strike on: when another process began a step, when that was committed, how many steps were done again.

    `redone` counts from the step that was begun first after the strike up to the one that was in hand then.
    """

    begun_s: float
    committed_s: float
    redone: int


def in_hand(begun: Sequence[Begun], struck_s: float) -> Begun | None:
    """The step that was begun last before the strike."""
    return max((b for b in begun if b.at_s <= struck_s), key=lambda b: b.at_s, default=None)


def cost(
    begun: Sequence[Begun], committed: Sequence[Committed], struck_s: float, struck: Collection[int]
) -> Cost | None:
    """What a strike at `struck` processes cost a unit; None until another process has done a step and had it committed.

    A step that was done before the strike and committed after it is no recovery: so it is asked who began it.
    """
    again = min((b for b in begun if b.at_s > struck_s and b.pid not in struck), key=lambda b: b.at_s, default=None)
    if again is None:
        return None
    counts = min((c.at_s for c in committed if c.step >= again.step and c.at_s > again.at_s), default=None)
    if counts is None:
        return None
    before = in_hand(begun, struck_s)
    redone = max(0, before.step - again.step + 1) if before else 0
    return Cost(again.at_s - struck_s, counts - struck_s, redone)


def step_s(committed: Sequence[Committed]) -> float:
    """How long a step takes from commit to commit: the median, which no fault moves while most steps have none."""
    times = sorted(c.at_s for c in committed)
    return statistics.median(after - before for before, after in itertools.pairwise(times))
