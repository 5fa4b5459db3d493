"""Where things lie on an axis, and numbers as a reader wants them. Pure; whatever a journal holds is no crash."""

import dataclasses
import itertools
import math
import time
from collections.abc import Iterable, Sequence

from koboshi.drills.report import seconds

MINUS = "\N{MINUS SIGN}"


def offset(value: float) -> str:
    """A moment on the drill's own clock, which starts at the last fault: `+0.04 s`; what rounds to zero is no less."""
    said = seconds(abs(value))
    return f"{MINUS if value < 0 and said != seconds(0.0) else '+'}{said}"


def clock(at_s: float) -> str:
    """A moment of the day, in UTC, to the millisecond."""
    return f"{time.strftime('%H:%M:%S', time.gmtime(at_s))}.{int(at_s % 1 * 1000):03d}"


def day(at_s: float) -> str:
    """A day and minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))


def tick(value: float) -> str:
    """A number beside an axis: short."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{_signed(value / (1e3 if letter == 'k' else limit))}{letter}"
    return _signed(value)


def _signed(value: float) -> str:
    return f"{value:,.10g}".replace("-", MINUS)


Point = tuple[float, float]
LARGEST = 1e12  # beyond it nothing that a drill measures lies, and sums and differences below stay exact enough


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """Puts values from `low` to `high` on pixels from `start` to `end`; a range without extent lies in the middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def plottable(points: Iterable[Point]) -> list[Point]:
    """In the order of time, without those that lie nowhere (not a number, endless, absurdly far)."""
    return sorted(point for point in points if all(abs(value) <= LARGEST for value in point))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten, about so many of them."""
    span = high - low
    if not 1e-9 < span <= 2 * LARGEST:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / about * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def around(values: Iterable[float]) -> tuple[float, float]:
    """The range of an axis that holds the values and zero."""
    low, high = 0.0, 0.0
    for value in values:
        low, high = min(low, value), max(high, value)
    return (low, high) if high - low > 1e-9 else (low, low + 1.0)


def thinned(points: Sequence[Point], buckets: int) -> list[Point]:
    """Few enough to draw: of each stretch the first, lowest, highest and last point, so that no short dip is lost.

    At most four for each bucket; `points` are in the order of time.
    """
    if len(points) <= 4 * buckets:
        return list(points)
    place = Scale(points[0][0], points[-1][0], 0, buckets)
    kept: list[Point] = []
    for _, group in itertools.groupby(points, lambda point: min(int(place(point[0])), buckets - 1)):
        stretch = list(group)
        extremes = (min(stretch, key=_value), max(stretch, key=_value))
        kept += sorted({stretch[0], *extremes, stretch[-1]})
    return kept


def _value(point: Point) -> float:
    return point[1]
