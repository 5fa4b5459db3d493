"""A unit whose state is a chain of digests: a step that is lost, doubled or out of order shows in the last link."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from koboshi.formats.manifest import DatasetRef


class Chain:
    def __init__(self, seed: str, rounds: int = 1, fails_at: int = 0) -> None:
        self.seed, self.rounds, self.fails_at = seed, rounds, fails_at
        self.link = b""

    def start(self, table: DatasetRef) -> None:
        self.link = hashlib.sha256(f"{self.seed} {table.manifest_sha256}".encode()).digest()

    def step(self, number: int) -> Mapping[str, float]:
        if number == self.fails_at:
            raise ZeroDivisionError("this step can never be done")
        for _ in range(self.rounds):
            self.link = hashlib.sha256(self.link + number.to_bytes(4, "big")).digest()
        return {"first_byte": self.link[0]}

    def dump(self) -> bytes:
        return self.link

    def load(self, state: bytes) -> None:
        self.link = state


class Stumbling(Chain):
    """Fails, as often as the test says, after a step has changed the state."""

    failures_left: ClassVar[int] = 0

    def step(self, number: int) -> Mapping[str, float]:
        metrics = super().step(number)
        if Stumbling.failures_left:
            Stumbling.failures_left -= 1
            raise ZeroDivisionError("half of it is done")
        return metrics


def straight(seed: str, table: DatasetRef, steps: int, rounds: int = 1) -> bytes:
    """The last link of an undisturbed chain."""
    chain = Chain(seed, rounds)
    chain.start(table)
    for number in range(1, steps + 1):
        chain.step(number)
    return chain.dump()


class GangChain(Chain):
    """Begins each step with the links of all members: one that is missing, or of another step, shows in the last."""

    def join(self, states: Sequence[bytes]) -> None:
        self.link = hashlib.sha256(b"".join([self.seed.encode(), *states])).digest()


def straight_gang(seeds: Sequence[str], table: DatasetRef, steps: int, rounds: int = 1) -> dict[str, bytes]:
    """The last links of an undisturbed gang."""
    members = {seed: GangChain(seed, rounds) for seed in seeds}
    for member in members.values():
        member.start(table)
    for number in range(1, steps + 1):
        states = [member.dump() for member in members.values()]
        for member in members.values():
            if number > 1:
                member.join(states)
            member.step(number)
    return {seed: member.dump() for seed, member in members.items()}


class Hungry(Chain):
    """Wants more memory than any machine has, in its second step."""

    def step(self, number: int) -> Mapping[str, float]:
        if number == 2:
            bytearray(1 << 50)
        return super().step(number)
