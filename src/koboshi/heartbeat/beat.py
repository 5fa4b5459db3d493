"""What a beat says, how it looks on the wire, and the seam where beats arrive."""

import dataclasses
import hmac
import json
from collections.abc import Sequence
from typing import Protocol, Self

from koboshi.documents import load_json

FORMAT_VERSION = 1
STOPPED, DEAD = "T", "X"


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where beats go; `secret` is new for each run, so that what beats from another one, or made up, is not heard."""

    host: str
    port: int
    secret: str


@dataclasses.dataclass(frozen=True, slots=True)
class Doing:
    """What a worker says it is at: a unit's step, and the phase of it (`idle` between steps)."""

    unit: str = ""
    step: int = 0
    phase: str = "idle"


@dataclasses.dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life of `worker`, taken at `at_s` of its machine's monotonic clock.

    `state` is the kernel's letter for the process (R runs, S sleeps, D waits for a disk, T is stopped) or X when it is
    gone; `cpu_s` is the processor time that all its threads have used so far.
    """

    worker: str
    doing: Doing
    state: str
    cpu_s: float
    at_s: float

    def to_bytes(self, secret: str) -> bytes:
        """The datagram."""
        return json.dumps({"v": FORMAT_VERSION, "secret": secret, **dataclasses.asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes, secret: str) -> Self | None:
        """The beat in a datagram, or None for anything that is not one of this run's."""
        try:
            fields = load_json(data)
            given = fields.pop("secret")
            mine = isinstance(given, str) and hmac.compare_digest(given.encode(), secret.encode())
            if not mine or fields.pop("v") != FORMAT_VERSION:
                return None
            return cls(**{**fields, "doing": Doing(**fields["doing"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def kill_order(worker: str, secret: str) -> bytes:
    """The datagram back to a sender that has it kill its worker."""
    return json.dumps({"v": FORMAT_VERSION, "secret": secret, "kill": worker}).encode()


def is_kill_order(data: bytes, worker: str, secret: str) -> bool:
    """Whether a datagram is the order to kill this worker, by somebody who knows the secret."""
    return hmac.compare_digest(data, kill_order(worker, secret))


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """A beat, and when it arrived by the listener's monotonic clock: not when somebody looked."""

    beat: Beat
    at_s: float


class Beats(Protocol):
    """The listening end. A beat may be lost, never invented."""

    @property
    def address(self) -> Address:
        """Where workers send to."""

    def arrived(self) -> Sequence[Arrival]:
        """All that has arrived since the last call, in order; never waits."""

    def kill(self, worker: str) -> None:
        """Have the process beside a worker kill it, on whatever machine; of no effect for one that never beat.

        It may get lost, as a beat may: a worker that beats on is to be killed again.
        """

    def close(self) -> None:
        """Listen no more."""
