"""What happened in a drill, in seconds from its first fault on. Pure."""

import dataclasses
from collections.abc import Sequence

from koboshi.drills.drill import DrillOutcome
from koboshi.drills.page.scale import Point, plottable

MEASURED = {  # what a journal without such an event still tells of it
    "detected_after_s": ("suspicion", "the first suspicion"),
    "recovered_after_s": ("recovery", "the first good work"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened `after_s` after the first fault (before it: negative)."""

    after_s: float
    kind: str
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A number over time: points are (seconds after the first fault, value)."""

    name: str
    unit: str
    points: Sequence[Point]


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """Moments and lines in the order of time. Where no fault was sent, `injected` is false and 0 the drill's begin."""

    injected: bool
    moments: Sequence[Moment]
    lines: Sequence[Line]

    def first(self, kind: str) -> Moment | None:
        """The first moment of a kind."""
        return next((moment for moment in self.moments if moment.kind == kind), None)


def tell(outcome: DrillOutcome, began_s: float) -> Story:
    """The story of an outcome; what has no place on a clock is left out, and the journal itself still shows it."""
    origin = min((injection.at_s for injection in outcome.injections), default=began_s)
    events = outcome.evidence.events
    happened = [(injection.at_s - origin, "fault", str(injection)) for injection in outcome.injections]
    happened += [
        (event.at_s - origin, event.kind, event.said) for event in events if event.kind != "fault" or not happened
    ]
    told = {kind for _, kind, _ in happened}
    measures = outcome.evidence.measures
    happened += [(measures[m], *rest) for m, rest in MEASURED.items() if m in measures and rest[0] not in told]
    moments = [Moment(after, kind, said) for at, kind, said in happened for after, _ in plottable([(at, 0)])]
    lines = [
        Line(series.name, series.unit, plottable((at_s - origin, value) for at_s, value in series.points))
        for series in outcome.evidence.series
    ]
    ordered = sorted(moments, key=lambda moment: moment.after_s)
    return Story(bool(outcome.injections), ordered, [line for line in lines if line.points])
