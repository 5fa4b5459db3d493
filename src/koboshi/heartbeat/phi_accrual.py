"""How suspicious a silence is, measured by what was heard before: the φ-accrual failure detector.

Hayashibara, Défago, Yared, Katayama: The φ Accrual Failure Detector (SRDS 2004). φ = -log10 P(a beat comes later than
now), for intervals that are normally distributed with the mean and deviation of those seen: φ 8 is one false alarm in
10^8 beats, if they were. They are not quite, so a pause is allowed for, and the deviation has a floor (as in Akka).
docs/decisions has the comparison with Akka and Cassandra.
"""

import dataclasses
import math
from typing import Self

_FAR = 30.0  # deviations from which on the normal tail is computed by its asymptote: erfc underflows at 38


@dataclasses.dataclass(frozen=True, slots=True)
class Rhythm:
    """How often workers beat, and what is made of a silence. Scale `interval_s` and the rest scales with it."""

    interval_s: float = 0.5
    threshold: float = 8.0
    pause_beats: float = 2.0
    floor_beats: float = 0.2
    longest_beats: float = 5.0
    window: int = 200

    @property
    def longest_s(self) -> float:
        """The silence that is suspicious whatever was heard before: what a user was promised."""
        return self.longest_beats * self.interval_s


@dataclasses.dataclass(frozen=True, slots=True)
class Arrivals:
    """When a worker was heard last, and the intervals before; made by `first`, continued by `then`."""

    last_s: float
    intervals: tuple[float, ...]
    mean_s: float
    deviation_s: float

    @classmethod
    def first(cls, now: float, rhythm: Rhythm) -> Self:
        """After one beat nothing is known: two intervals are assumed, a quarter to each side of the agreed one."""
        return cls._of(now, (0.75 * rhythm.interval_s, 1.25 * rhythm.interval_s))

    def then(self, now: float, rhythm: Rhythm) -> Self:
        """One more beat. The interval is learnt from, unless it was a suspicious one: an outage is not a rhythm."""
        if suspicious(self, now, rhythm):
            return dataclasses.replace(self, last_s=now)
        interval = max(0.0, now - self.last_s)
        return self._of(max(now, self.last_s), (*self.intervals, interval)[-rhythm.window :])

    @classmethod
    def _of(cls, last_s: float, intervals: tuple[float, ...]) -> Self:
        mean = math.fsum(intervals) / len(intervals)
        variance = math.fsum((interval - mean) ** 2 for interval in intervals) / len(intervals)
        return cls(last_s, intervals, mean, math.sqrt(variance))


def phi(arrivals: Arrivals, now: float, rhythm: Rhythm) -> float:
    """The suspicion: 0 at a beat, and growing with the silence."""
    deviation = max(arrivals.deviation_s, rhythm.floor_beats * rhythm.interval_s)
    expected = arrivals.mean_s + rhythm.pause_beats * rhythm.interval_s
    return 0.0 - _log10_tail((now - arrivals.last_s - expected) / deviation)  # never -0.0, which people would see


def suspicious(arrivals: Arrivals, now: float, rhythm: Rhythm) -> bool:
    """Whether a worker that was heard so, and not since, is to be replaced."""
    return now - arrivals.last_s >= rhythm.longest_s or phi(arrivals, now, rhythm) >= rhythm.threshold


def _log10_tail(deviations: float) -> float:
    """log10 of the standard normal distribution's upper tail."""
    if deviations < _FAR:
        return math.log10(0.5 * math.erfc(deviations / math.sqrt(2)))
    return -(deviations**2) / 2 * math.log10(math.e) - math.log10(deviations * math.sqrt(2 * math.pi))
