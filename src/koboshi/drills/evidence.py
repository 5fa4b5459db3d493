"""What a drill finds and measures: findings decide the verdict, the rest is for the report."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

EventKind = Literal["fault", "suspicion", "recovery", "note"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in a sentence."""

    check: str
    holds: bool
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a drill, on the wall clock (seconds since 1970)."""

    at_s: float
    kind: EventKind
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """A number over time, such as answers or committed records a second: points are (wall clock, value)."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, the standard measures among it where they have a meaning for the drill.

    `detected_after_s` (fault to first suspicion), `recovered_after_s` (fault to first good work), `lost`, `doubled`
    (records, requests, models), `redone` (steps, spans, tasks that were done again). Seconds end in `_s`.
    """

    measures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    events: Sequence[Event] = ()
    series: Sequence[Series] = ()
