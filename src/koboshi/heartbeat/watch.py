"""Decides, pure: which workers are to be replaced, and why. Times are the listener's monotonic clock, in seconds.

How suspicious a silence is, the φ-accrual failure detector tells, by what was heard before (Hayashibara, Défago, Yared,
Katayama: The φ Accrual Failure Detector, SRDS 2004). φ = -log10 P(a beat comes later than now), for intervals that are
normally distributed with the mean and deviation of those seen: φ 8 is one false alarm in 10^8 beats, if they were. They
are not quite, so a pause is allowed for, and the deviation has a floor (as in Akka). docs/decisions has the comparison
with Akka and Cassandra.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal, Self

from koboshi.heartbeat.beat import DEAD, STOPPED, Arrival, Beat

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


STOPPED_BEATS = 2.0  # a debugger may stop a process for a moment
PROGRESS_FACTOR = 3.0

Cause = Literal["dead", "stopped", "silent", "no progress"]


@dataclasses.dataclass(frozen=True, slots=True)
class Assignment:
    """The step that a worker was given, when, what it may take, and the processor time that was used before it."""

    unit: str
    step: int
    since_s: float
    limit_s: float
    cpu_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a worker."""

    arrivals: Arrivals | None = None
    beat: Beat | None = None
    stopped_since_s: float | None = None
    assignment: Assignment | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """A worker that is to be replaced: the cause, and one sentence of evidence."""

    worker: str
    cause: Cause
    evidence: str


def progress_limit_s(step_limit_s: float, longest_step_s: float) -> float:
    """How long a step may take: what its unit allows, or three times its longest committed step if that is more."""
    return max(step_limit_s, PROGRESS_FACTOR * longest_step_s)


def heard(watched: Watched, arrival: Arrival, rhythm: Rhythm) -> Watched:
    """What is known after one more beat; one that was overtaken by a newer one says nothing."""
    beat, at = arrival.beat, arrival.at_s
    if watched.beat is not None and beat.at_s <= watched.beat.at_s:
        return watched
    arrivals = watched.arrivals.then(at, rhythm) if watched.arrivals else Arrivals.first(at, rhythm)
    since = watched.stopped_since_s if watched.stopped_since_s is not None else at
    stopped = since if beat.state == STOPPED else None
    return dataclasses.replace(watched, arrivals=arrivals, beat=beat, stopped_since_s=stopped)


def judge_worker(worker: str, watched: Watched, now: float, rhythm: Rhythm) -> Suspicion | None:
    """Whether a worker is to be replaced, now.

    One that never beat is still starting, or its beats do not get through: only what it takes for a step counts.
    """
    if watched.beat is None or watched.arrivals is None:
        return _no_progress(worker, None, watched.assignment, now)
    silence = now - watched.arrivals.last_s
    if watched.beat.state == DEAD:
        return Suspicion(worker, "dead", "its process is gone")
    if suspicious(watched.arrivals, now, rhythm):
        return Suspicion(worker, "silent", f"no beat for {silence:.2f} s, φ {phi(watched.arrivals, now, rhythm):.1f}")
    if (since := watched.stopped_since_s) is not None and now - since >= STOPPED_BEATS * rhythm.interval_s:
        return Suspicion(worker, "stopped", f"its process has been stopped (state T) for {now - since:.2f} s at least")
    return _no_progress(worker, watched.beat, watched.assignment, now)


def _no_progress(worker: str, beat: Beat | None, assignment: Assignment | None, now: float) -> Suspicion | None:
    if assignment is None or now - assignment.since_s < assignment.limit_s:
        return None
    took = f"step {assignment.step} of {assignment.unit} has taken {now - assignment.since_s:.1f} s"
    return Suspicion(worker, "no progress", f"{took} of {assignment.limit_s:.1f} s, and {_told(beat, assignment)}")


def _told(beat: Beat | None, assignment: Assignment) -> str:
    """An endless loop uses the processor, a dead lock does not."""
    if beat is None:
        return "it was never heard: are datagrams to the driver let through?"
    cpu = max(0.0, beat.cpu_s - assignment.cpu_s)
    return f"it beats: phase {beat.doing.phase}, state {beat.state}, {cpu:.1f} s of processor time"


class Watch:
    """The workers of one run. In memory only: a new driver starts with an empty one."""

    def __init__(self, rhythm: Rhythm, now: float) -> None:
        self._rhythm, self._looked_s = rhythm, now
        self._workers: dict[str, Watched] = {}

    def add(self, worker: str) -> None:
        """Watch a worker, from its first beat on."""
        self._workers.setdefault(worker, Watched())

    def remove(self, worker: str) -> None:
        """Watch it no more; beats that still come are not heard."""
        self._workers.pop(worker, None)

    def began(self, worker: str, unit: str, step: int, limit_s: float, now: float) -> None:
        """A step was given to a worker."""
        if (watched := self._workers.get(worker)) is not None:
            assignment = Assignment(unit, step, now, limit_s, watched.beat.cpu_s if watched.beat else 0.0)
            self._workers[worker] = dataclasses.replace(watched, assignment=assignment)

    def ended(self, worker: str) -> None:
        """The step is committed or has failed; until the next one no progress is expected."""
        if (watched := self._workers.get(worker)) is not None:
            self._workers[worker] = dataclasses.replace(watched, assignment=None)

    def look(self, arrivals: Iterable[Arrival], now: float) -> list[Suspicion]:
        """Hear what has arrived, then judge every worker: a suspicion is told at each look, until `remove` or a beat.

        If nobody looked for as long as a silence may last, then beats may have been lost on our side: silences are
        counted from now.
        """
        for arrival in arrivals:
            if (watched := self._workers.get(arrival.beat.worker)) is not None:
                self._workers[arrival.beat.worker] = heard(watched, arrival, self._rhythm)
        if now - self._looked_s >= self._rhythm.longest_s:
            self._forgive(now)
        self._looked_s = now
        judged = (judge_worker(worker, watched, now, self._rhythm) for worker, watched in self._workers.items())
        return [suspicion for suspicion in judged if suspicion]

    def seen(self, worker: str, now: float) -> tuple[Beat | None, float | None, float]:
        """A worker's newest beat, the seconds since then, and φ; for one that has not beaten yet None, None and 0."""
        watched = self._workers.get(worker, Watched())
        if watched.arrivals is None:
            return None, None, 0.0
        return watched.beat, now - watched.arrivals.last_s, phi(watched.arrivals, now, self._rhythm)

    def _forgive(self, now: float) -> None:
        for worker, watched in self._workers.items():
            if watched.arrivals is not None:
                arrivals = dataclasses.replace(watched.arrivals, last_s=now)
                self._workers[worker] = dataclasses.replace(watched, arrivals=arrivals)
