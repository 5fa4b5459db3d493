"""How long good answers took before a fault, during the outage, and after it. Pure."""

from collections.abc import Iterable, Sequence

from koboshi.drills.drill import Event, Injection
from koboshi.drills.kit.aiohttp_load import OK, Answer, percentile_ms

PERCENTS = (50, 99)


def latencies(answers: Iterable[Answer], injections: Sequence[Injection], events: Iterable[Event]) -> dict[str, float]:
    """p50 and p99 in milliseconds, as `p99_during_ms`, for each window in which something was answered.

    A request belongs to the window in which it was due: before the first fault, until the first recovery after the last
    fault, and after that; without a recovery all that is due after the first fault is due during it.
    """
    if not injections:
        return {}
    begun, last = min(one.at_s for one in injections), max(one.at_s for one in injections)
    healed = min((e.at_s for e in events if e.kind == "recovery" and e.at_s >= last), default=float("inf"))
    good = [answer for answer in answers if answer.status == OK]
    windows = {
        "before": [answer for answer in good if answer.due_s < begun],
        "during": [answer for answer in good if begun <= answer.due_s < healed],
        "after": [answer for answer in good if answer.due_s >= healed],
    }
    return {
        f"p{percent}_{when}_ms": percentile_ms(those, percent)
        for when, those in windows.items()
        if those
        for percent in PERCENTS
    }
