"""Which faults strike which training: a pure function of the seed, so that a seed replays the whole schedule."""

import dataclasses
import random
from collections.abc import Mapping, Sequence

KILL, STOP, FLIP, DRIVER, NODE = "kill worker", "stop worker", "flip checkpoint", "kill driver", "kill node"
SHARES: Mapping[str, int] = {KILL: 45, STOP: 15, FLIP: 20, DRIVER: 12, NODE: 8}  # in a hundred
LONGEST_REST = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `after_steps` commits from the one before, at `pick` among those at work, at `moment` of a step.

    `pick` and `moment` are from 0 up to 1: what they mean depends on who is at work then, and on how long steps take.
    """

    number: int
    kind: str
    after_steps: int
    pick: float
    moment: float


@dataclasses.dataclass(frozen=True, slots=True)
class RunPlan:
    """A training that is struck: of which kit, and by what."""

    number: int
    kit: str
    faults: tuple[Fault, ...]


def draw(seed: int, count: int, a_run: int, kits: Sequence[str], kinds: Sequence[str] = tuple(SHARES)) -> list[RunPlan]:
    """`count` faults, `a_run` to each training, the kits in turn; kinds in their shares, each at least once."""
    rng = random.Random(seed)
    deck = dealt(count, kinds)
    rng.shuffle(deck)
    faults = [
        Fault(number, kind, rng.randint(1, LONGEST_REST), rng.random(), rng.random())
        for number, kind in enumerate(deck, 1)
    ]
    cut = range(0, count, a_run)
    return [RunPlan(i + 1, kits[i % len(kits)], tuple(faults[at : at + a_run])) for i, at in enumerate(cut)]


def dealt(count: int, kinds: Sequence[str]) -> list[str]:
    """So many kinds, in their shares: the largest remainders are rounded up, and none is left out while it can be."""
    whole = sum(SHARES[kind] for kind in kinds)
    exact = {kind: count * SHARES[kind] / whole for kind in kinds}
    numbers = {kind: max(int(exact[kind]), 1) for kind in kinds}
    for kind in sorted(kinds, key=lambda kind: exact[kind] - numbers[kind], reverse=True):
        numbers[kind] += 1 if sum(numbers.values()) < count else 0
    for kind in sorted(kinds, key=lambda kind: numbers[kind], reverse=True):
        numbers[kind] -= max(0, min(numbers[kind], sum(numbers.values()) - count))
    return [kind for kind in kinds for _ in range(numbers[kind])]


def left_over(plan: RunPlan, struck: int, number: int) -> RunPlan | None:
    """What could not strike any more because the training had ended: another one of the same kit takes it."""
    rest = plan.faults[struck:]
    return RunPlan(number, plan.kit, rest) if rest else None
