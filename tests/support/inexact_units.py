"""Units with one fault each: what the contract suite has to name."""

import datetime
import hashlib
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from koboshi.formats.manifest import DatasetRef


class Exact:
    """Good: a chain over the numbers of the steps. Faults begin at step `at`."""

    def __init__(self, at: int = 1) -> None:
        self.at, self.chain = at, ""

    def start(self, table: DatasetRef) -> None:
        self.chain = table.manifest_sha256

    def step(self, number: int) -> Mapping[str, float]:
        self.chain = _link(self.chain, number, self.drawn(number) if number >= self.at else None)
        return {"done": 1.0}

    def drawn(self, _number: int) -> Any:
        return None

    def dump(self) -> bytes:
        return json.dumps(self.chain).encode()

    def load(self, state: bytes) -> None:
        self.chain = json.loads(state)


def _link(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Unseeded(Exact):
    def drawn(self, _number: int) -> Any:
        return random.random()


class UnseededNumpy(Exact):
    def drawn(self, _number: int) -> Any:
        from numpy.random import default_rng

        return default_rng().random()


class WallClock(Exact):
    def drawn(self, _number: int) -> Any:
        return int(time.time())


class Weekday(Exact):
    def drawn(self, _number: int) -> Any:
        return datetime.datetime.now().weekday()


class TimesItself(Exact):
    """The state is fine; a metric is how long the step took."""

    def step(self, number: int) -> Mapping[str, float]:
        began = time.perf_counter()
        return {**super().step(number), "seconds": time.perf_counter() - began}


class SetOrder(Exact):
    def drawn(self, _number: int) -> Any:
        return list({f"feature {name}" for name in range(20)})


class Hashes(Exact):
    def drawn(self, number: int) -> Any:
        return hash(f"customer {number}") % 1000


class BlasThreads(Exact):
    """The library splits a long sum among its threads, and floats are not added up in any order alike."""

    def drawn(self, number: int) -> Any:
        from numpy.random import default_rng

        values = default_rng(number).normal(size=1_000_000)
        return float(values @ values)


class ForgetfulDump(Exact):
    """Tidies up when it dumps."""

    seen = 0

    def drawn(self, _number: int) -> Any:
        self.seen += 1
        return self.seen

    def dump(self) -> bytes:
        self.seen = 0
        return super().dump()


class CountsItself(Exact):
    """Draws from the seed and a count of its own, and dumps only the result."""

    count = 0

    def step(self, _number: int) -> Mapping[str, float]:
        self.count += 1
        return super().step(self.count)


class HiddenRandomState(Exact):
    """Seeded, and drawn from across steps, but not in the dump."""

    def start(self, table: DatasetRef) -> None:
        super().start(table)
        self.random = random.Random(7)

    def drawn(self, _number: int) -> Any:
        return self.random.random()


class Momentum(Exact):
    """What is not dumped shows two steps later, not in the next one."""

    before: tuple[str, ...] = ("", "")

    def drawn(self, number: int) -> Any:
        self.before = (self.before[1], self.chain)
        return number > 2 and self.before[0]


class ClassCache(Exact):
    """Keeps what it needs where another object of the same process still finds it."""

    cache: ClassVar[dict[int, str]] = {}

    def drawn(self, number: int) -> Any:
        found = self.cache.get(number - 1, "")
        self.cache[number] = self.chain
        return found


class CannotLoad(Exact):
    def load(self, state: bytes) -> None:
        if self.at > 1:
            raise KeyError("weights")
        super().load(state)


class CannotStep(Exact):
    def drawn(self, _number: int) -> Any:
        raise ZeroDivisionError("no rows")


class EndsItsProcess(Exact):
    def drawn(self, _number: int) -> Any:
        os._exit(3)


class TwoFaults(Exact):
    """The clock from step 3 on, and hashes from step 2 on."""

    def drawn(self, number: int) -> Any:
        return hash("a"), number > 2 and time.time()


class KeepsToItself(Exact):
    """A member of a gang that goes on from what it has at hand, and not only from the states that it is given."""

    def join(self, states: Sequence[bytes]) -> None:
        self.chain = _link(self.chain, *states)
