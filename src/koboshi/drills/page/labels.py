"""Where the words stand above a chart, so that each can be read. Pure; in pixels."""

import dataclasses
from collections.abc import Sequence

from koboshi.drills.page.figures import offset
from koboshi.drills.page.scale import Scale
from koboshi.drills.page.story import Moment

ROW, ROWS = 18, 3  # height of a row of labels, and how many there may be
BESIDE = 10  # from a mark to its word
LETTER = 6.6  # what a letter takes at the chart's font size, rather too much than too little
WORDS = {"fault": "fault", "suspicion": "suspected", "recovery": "recovered"}


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """A word at a mark: `y` is its baseline, `anchor` which end of the text is at `x`."""

    x: float
    y: float
    anchor: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """A row with a mark at `x` and its word from `begin` to `end`, right or left of it."""

    row: int
    x: float
    begin: float
    end: float

    def clashes(self, other: "_Place") -> bool:
        """In one row nothing may touch; else the line down from the upper one's mark may not cross the lower word."""
        if self.row == other.row:
            return self._low <= other._high and other._low <= self._high
        upper, lower = (self, other) if self.row < other.row else (other, self)
        return lower.begin <= upper.x <= lower.end

    @property
    def _low(self) -> float:
        return min(self.x - BESIDE, self.begin)

    @property
    def _high(self) -> float:
        return max(self.x + BESIDE, self.end)


def label(moments: Sequence[Moment], time: Scale, width: int) -> list[Label | None]:
    """A label for each moment that there is room for in one of the rows; the first of each kind chooses first.

    A line goes down from each mark to the axis: no label lies on another one, nor on the line of one.
    """
    taken: list[_Place] = []
    found: list[Label | None] = [None] * len(moments)
    for number in _importance(moments):
        moment = moments[number]
        text = WORDS[moment.kind] + (f" {offset(moment.after_s)}" if moment.after_s else "")
        place = _free(time(moment.after_s), BESIDE + len(text) * LETTER, width, taken)
        if place:
            taken.append(place)
            right, y = place.begin > place.x, (place.row + 1) * ROW
            found[number] = Label(place.begin if right else place.end, y, "start" if right else "end", text)
    return found


def _free(x: float, reach: float, width: int, taken: Sequence[_Place]) -> _Place | None:
    """The highest row that has room; the word stands right of its mark, unless the drawing ends there."""
    begin, end = (x + BESIDE, x + reach) if x + reach <= width else (x - reach, x - BESIDE)
    places = (_Place(row, x, begin, end) for row in range(ROWS) if begin >= 0)
    return next((place for place in places if not any(map(place.clashes, taken))), None)


def _importance(moments: Sequence[Moment]) -> list[int]:
    """Numbers of the moments, the first of each kind before all others, in the order fault, suspicion, recovery."""
    kinds = list(WORDS)
    firsts = {moment.kind: number for number, moment in reversed(list(enumerate(moments)))}
    return sorted(range(len(moments)), key=lambda n: (firsts[moments[n].kind] != n, kinds.index(moments[n].kind), n))
