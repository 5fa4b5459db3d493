"""What the landers' journal tells of a drill: when they took up work again, how much was landed a second. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from koboshi.drills.evidence import Event, Evidence, Series
from koboshi.drills.scenes.offset_tally import Tally
from koboshi.drills.strike import Strike

Told = Mapping[str, Any]


def landing_evidence(told: Sequence[Told], strikes: Sequence[Strike], tally: Tally) -> Evidence:
    """Times are those after the last strike, which no other one disturbs. A range that was read again was redone."""
    measures = {"lost": float(tally.lost), "doubled": float(tally.twice), "redone": float(redone(told))}
    for name, event in (("detected_after_s", "reading"), ("recovered_after_s", "landed")):
        if strikes and (after := _after(told, event, strikes[-1])) is not None:
            measures[name] = after
    return Evidence(measures, list(_events(told, strikes)), [landed_per_second(told)])


def redone(told: Iterable[Told]) -> int:
    """How many readings were of a range that had been begun before."""
    begun = Counter((t["partition"], t["start"], t["end"]) for t in told if t["event"] == "reading")
    return sum(times - 1 for times in begun.values())


def landed_per_second(told: Iterable[Told]) -> Series:
    """Records by the second in which they were committed; seconds without any are zero."""
    landed = [(t["at"], t["records"]) for t in told if t["event"] == "landed"]
    begun = min((at for at, _ in landed), default=0.0)
    seconds: Counter[int] = Counter()
    for at, records in landed:
        seconds[int(at - begun)] += records
    points = [(begun + n, float(seconds[n])) for n in range(max(seconds, default=-1) + 1)]
    return Series("records landed", "1/s", points)


def _after(told: Iterable[Told], event: str, strike: Strike) -> float | None:
    moments = (t["monotonic"] for t in told if t["event"] == event and t["monotonic"] > strike.at_monotonic)
    first = min(moments, default=None)
    return None if first is None else first - strike.at_monotonic


def _events(told: Sequence[Told], strikes: Sequence[Strike]) -> Iterator[Event]:
    """For each strike the next lander's first reading and first commit; and each time that one had to try again."""
    for strike in strikes:
        later = [t for t in told if t["monotonic"] > strike.at_monotonic]
        if found := next((t for t in later if t["event"] == "reading"), None):
            yield Event(found["at"], "suspicion", f"another lander takes over: it reads {_named(found)}")
        if found := next((t for t in later if t["event"] == "landed"), None):
            yield Event(found["at"], "recovery", f"{_named(found)} is landed")
    for t in told:
        if t["event"] == "again":
            yield Event(t["at"], "note", f"the lander tries again: {t['reason']}")


def _named(told: Told) -> str:
    return f"partition {told['partition']} [{told['start']:,}, {told['end']:,})"
