"""What a threshold buys and costs, pure: recorded beats are played to the detector again, under other thresholds."""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence

from koboshi.heartbeat.watch import Arrivals, Rhythm, suspicious

PRECISION_S = 0.001
NEVER_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """One choice: how long a silence is let be, from the last beat to the suspicion, and how often that was wrong."""

    name: str
    rhythm: Rhythm
    median_s: float
    worst_s: float
    false: int
    hours: float

    @property
    def false_per_hour(self) -> float:
        """Wrong suspicions of a worker that lives, for each hour that one worker beats."""
        return self.false / self.hours if self.hours else 0.0


def point(name: str, rhythm: Rhythm, recorded: Sequence[Sequence[float]]) -> Point:
    """Play every worker's beats: when, after each one, silence would be suspicious, and whether the next came before.

    What was suspicious is not learnt from, as in the detector; it counts once.
    """
    played = [pair for times in recorded for pair in _played(times, rhythm)]
    patience = [seconds for seconds, _ in played]
    hours = sum(times[-1] - times[0] for times in recorded if times) / 3600
    false = sum(wrong for _, wrong in played)
    return Point(name, rhythm, statistics.median(patience), max(patience), false, hours)


def _played(times: Sequence[float], rhythm: Rhythm) -> Iterator[tuple[float, bool]]:
    arrivals = Arrivals.first(times[0], rhythm)
    for at in times[1:]:
        patience = patience_s(arrivals, rhythm)
        yield patience, at - arrivals.last_s >= patience
        arrivals = arrivals.then(at, rhythm)


def patience_s(arrivals: Arrivals, rhythm: Rhythm) -> float:
    """How long after its last beat a worker is suspected, by bisection: suspicion only grows with the silence."""
    low, high = 0.0, min(NEVER_S, rhythm.longest_s)
    while high - low > PRECISION_S:
        middle = (low + high) / 2
        low, high = (low, middle) if suspicious(arrivals, arrivals.last_s + middle, rhythm) else (middle, high)
    return high
