"""The shares of one model, stepped in this process in any order: as workers do it, and with what may happen to them."""

from collections.abc import Mapping
from typing import cast

from koboshi.formats.manifest import DatasetRef
from koboshi.training import UnitSpec
from koboshi.training.spec import GangUnit, make_unit


class GangRounds:
    """Keeps what was committed; a step begins from that, or goes on with the unit that a worker has at hand."""

    def __init__(self, shares: Mapping[str, UnitSpec], table: DatasetRef) -> None:
        self.shares, self.table = dict(sorted(shares.items())), table
        self.gang = any(spec.gang for spec in shares.values())
        self.states: dict[tuple[str, int], bytes] = {}
        self.metrics: dict[tuple[str, int], Mapping[str, float]] = {}
        self.done = dict.fromkeys(self.shares, 0)
        self.at_hand: dict[str, GangUnit] = {}

    def may_step(self) -> list[str]:
        """Who may do a step: in a gang, who has nobody behind."""
        slowest = min(self.done.values())
        return [
            name
            for name, spec in self.shares.items()
            if self.done[name] < spec.steps and (self.done[name] == slowest or not self.gang)
        ]

    def step(self, name: str, *, dies: bool = False) -> None:
        """One step of a share, committed unless its worker dies before."""
        number = self.done[name] + 1
        unit = self.at_hand.pop(name, None) or self._started(name)
        if self.gang and number > 1:
            unit.join([self.states[other, number - 1] for other in self.shares])
        metrics = unit.step(number)
        state = unit.dump()
        if dies:
            return
        self.states[name, number], self.metrics[name, number] = state, metrics
        self.done[name], self.at_hand[name] = number, unit

    def die(self, name: str) -> None:
        """The worker that waits with a share is gone."""
        self.at_hand.pop(name, None)

    def lose(self, name: str, steps: int) -> None:
        """The newest checkpoints of a share are bad: it goes back, and the others wait for it."""
        self.die(name)
        for number in range(self.done[name], max(0, self.done[name] - steps), -1):
            del self.states[name, number]
        self.done[name] = max(0, self.done[name] - steps)

    def to_the_end(self) -> list[bytes]:
        """All steps that are left; the final states in the order of the names."""
        while able := self.may_step():
            self.step(able[0])
        return [self.states[name, spec.steps] for name, spec in self.shares.items()]

    def _started(self, name: str) -> GangUnit:
        unit = cast(GangUnit, make_unit(self.shares[name].factory, self.shares[name].params))
        unit.start(self.table)
        if not self.gang and self.done[name]:
            unit.load(self.states[name, self.done[name]])
        return unit
