"""What happened in a drill, in seconds from its last fault on. Pure."""

import dataclasses
from collections.abc import Sequence

from koboshi.drills.drill import MEASURED, DrillOutcome
from koboshi.drills.page.scale import Point, plottable
from koboshi.drills.report import counted_from, measures_of

SAID = {"suspicion": "the first suspicion", "recovery": "the first good work"}  # of what a journal only measured


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened `after_s` after the last fault (before it: negative)."""

    after_s: float
    kind: str
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A number over time: points are (seconds after the last fault, value)."""

    name: str
    unit: str
    points: Sequence[Point]


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """Moments and lines in the order of time. Where no fault was sent, `injected` is false and 0 the drill's begin.

    The last fault is the last one that something followed: `report.counted_from`.
    """

    injected: bool
    moments: Sequence[Moment]
    lines: Sequence[Line]

    def of(self, kind: str) -> list[Moment]:
        """The moments of a kind."""
        return [moment for moment in self.moments if moment.kind == kind]

    def first(self, kind: str) -> Moment | None:
        """The first moment of a kind, from the last fault on."""
        return next((moment for moment in self.of(kind) if moment.after_s >= 0), None)

    @property
    def outages(self) -> list[tuple[float, float]]:
        """From each fault to the first recovery after it; those that touch are one."""
        found: list[tuple[float, float]] = []
        for fault in self.of("fault"):
            healed = next((after.after_s for after in self.of("recovery") if after.after_s >= fault.after_s), None)
            if healed is None:
                continue
            begun = found.pop()[0] if found and found[-1][1] >= fault.after_s else fault.after_s
            found.append((begun, healed))
        return found

    @property
    def clock(self) -> str:
        """What all times count from."""
        if not self.injected:
            return "begin"
        earlier, later = (any(sign * fault.after_s > 0 for fault in self.of("fault")) for sign in (-1, 1))
        return "fault at 0" if later else "last fault" if earlier else "fault"


def tell(outcome: DrillOutcome, began_s: float) -> Story:
    """The story of an outcome; what has no place on a clock is left out, and the journal itself still shows it."""
    fault = counted_from(outcome)
    origin = fault.at_s if fault else began_s
    happened = [(injection.at_s - origin, "fault", str(injection)) for injection in outcome.injections]
    happened += [
        (event.at_s - origin, event.kind, event.said)
        for event in outcome.evidence.events
        if event.kind != "fault" or not outcome.injections
    ]
    measures, told = measures_of(outcome), {kind for at, kind, _ in happened if at >= 0}
    happened += [(measures[m], kind, SAID[kind]) for kind, m in MEASURED.items() if m in measures and kind not in told]
    each = dict.fromkeys(happened)  # two faults may have one recovery, which a drill then tells of twice
    moments = [Moment(after, kind, said) for at, kind, said in each for after, _ in plottable([(at, 0)])]
    lines = [
        Line(series.name, series.unit, plottable((at_s - origin, value) for at_s, value in series.points))
        for series in outcome.evidence.series
    ]
    ordered = sorted(moments, key=lambda moment: moment.after_s)
    return Story(bool(outcome.injections), ordered, [line for line in lines if line.points])
