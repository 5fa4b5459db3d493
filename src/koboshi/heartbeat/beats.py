"""The seam: where beats arrive."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from koboshi.heartbeat.beat import Address, Beat


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
