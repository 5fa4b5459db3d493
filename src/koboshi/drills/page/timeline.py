"""Where the words stand above a chart, so that each can be read. Pure; in pixels."""

import dataclasses
import itertools
from collections.abc import Sequence

from koboshi.drills.page.scale import Point, Scale, around, offset, thinned, tick, ticks
from koboshi.drills.page.story import Line, Moment, Story

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
    """Numbers of the moments, the first of each kind from the last fault on before all others, in the kinds' order."""
    kinds = list(WORDS)
    firsts = {moment.kind: number for number, moment in reversed(list(enumerate(moments))) if moment.after_s >= 0}
    return sorted(
        range(len(moments)), key=lambda n: (firsts.get(moments[n].kind) != n, kinds.index(moments[n].kind), n)
    )


MARGIN, GUTTER = 14, 46  # right of the chart, and left of it for the numbers
LANE, TITLE, PLOT, GAP, AXIS = 26, 26, 84, 12, 40
FEW = 2  # panels that may be high
MINUTES_FROM_S = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A fault, suspicion or recovery, in its label's row; on the axis itself where there was no room for a label."""

    kind: str
    x: float
    y: float
    said: str
    label: Label | None


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis."""

    at: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """One number over time; `line` and `area` are paths."""

    title: str
    top: float
    bottom: float
    ticks: Sequence[Tick]
    line: str
    area: str


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """The whole chart. `outages` are the pixels from a fault to the first recovery after it."""

    width: int
    height: float
    left: float
    right: float
    lane: float
    bottom: float
    marks: Sequence[Mark]
    notes: Sequence[float]
    outages: Sequence[tuple[float, float]]
    panels: Sequence[Panel]
    ticks: Sequence[Tick]
    axis: str


def timeline(story: Story, width: int) -> Timeline | None:
    """The chart of a story, or none where there is no more than one moment to show."""
    times = [moment.after_s for moment in story.moments]
    times += [at for line in story.lines for at in (line.points[0][0], line.points[-1][0])]
    if not times or min(times) == max(times):
        return None
    time = Scale(min(times), max(times), GUTTER if story.lines else MARGIN, width - MARGIN)
    told = [moment for moment in story.moments if moment.kind != "note"]
    labels = label(told, time, width)
    lane = max((spot.y for spot in labels if spot), default=0.0) + LANE / 2
    panels = stacked(story.lines, time, lane + LANE / 2)
    bottom = panels[-1].bottom if panels else lane + LANE / 2
    places, caption = clock_ticks(time, about=max(3, width // 90))
    return Timeline(
        width=width,
        height=bottom + AXIS,
        left=time.start,
        right=time.end,
        lane=lane,
        bottom=bottom,
        marks=[mark(moment, time, spot, lane) for moment, spot in zip(told, labels, strict=True)],
        notes=sorted({time(moment.after_s) for moment in story.moments if moment.kind == "note"}),
        outages=[(time(begun), time(healed)) for begun, healed in story.outages],
        panels=panels,
        ticks=places,
        axis=f"{caption} after the {story.clock}",
    )


def clock_ticks(time: Scale, about: int) -> tuple[list[Tick], str]:
    """Places on the time axis, and the unit that they are in."""
    unit, name = (60.0, "minutes") if time.high - time.low > MINUTES_FROM_S else (1.0, "seconds")
    places = ticks(time.low / unit, time.high / unit, about)
    return [Tick(time(at * unit), f"+{tick(at)}" if at > 0 else tick(at)) for at in places], name


def mark(moment: Moment, time: Scale, spot: Label | None, lane: float) -> Mark:
    """The mark of a moment, beside its label."""
    return Mark(moment.kind, time(moment.after_s), spot.y - 4 if spot else lane, moment.said, spot)


def stacked(lines: Sequence[Line], time: Scale, top: float) -> list[Panel]:
    """A panel for each line, one below the other; lines of one unit share their range, so that heights compare."""
    plot = PLOT if len(lines) <= FEW else PLOT * 2 / 3
    ranges = {unit: around(n for line in lines if line.unit == unit for _, n in line.points) for unit in _units(lines)}
    return [
        panel(line, time, Scale(*ranges[line.unit], first + plot, first))
        for number, line in enumerate(lines)
        for first in [top + TITLE + number * (TITLE + plot + GAP)]
    ]


def _units(lines: Sequence[Line]) -> set[str]:
    return {line.unit for line in lines}


def panel(line: Line, time: Scale, value: Scale) -> Panel:
    """One line above zero: a number that halves looks half as high. A count stays level until it grows."""
    points = thinned(line.points, max(1, int(time.end - time.start) // 2))
    counts = all(number <= after for (_, number), (_, after) in itertools.pairwise(points))
    drawn = path([(time(at), value(number)) for at, number in points], level=counts)
    zero = value(0.0)
    area = f"{drawn}L{time(points[-1][0]):g},{zero:g}L{time(points[0][0]):g},{zero:g}Z"
    numbers = [Tick(value(number), tick(number)) for number in ticks(value.low, value.high, 3)]
    title = f"{line.name} ({line.unit})" if line.unit else line.name
    return Panel(title, value.end, value.start, numbers, drawn, area)


def path(points: Sequence[Point], *, level: bool = False) -> str:
    """An SVG path through the points, `level` until the next one; a lone one becomes a short dash, to be seen."""
    (first, *rest), form = points, "H{0:g}V{1:g}" if level else "L{0:g},{1:g}"
    begin = f"M{first[0]:g},{first[1]:g}"
    return begin + ("".join(form.format(x, y) for x, y in rest) or "h2")
