"""Answers of a load: what came back for each request, and the figures that follow from it. Pure."""

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from koboshi.drills.evidence import Series

OK = 200
BEARABLE = 0.8
NEAR_S = 3.0  # a busy client hears late of an answer


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One request and its answer.

    `due_s` is when it was to be sent (wall clock), `took_s` counts from then on, so that a request that had to wait for
    its turn is not fast. `status` is 0 where no answer came; `said` is then the error. `tries` are the gateway's.
    """

    due_s: float
    took_s: float
    status: int
    right: bool
    replica: str = ""
    version: str = ""
    rows: int = 0
    tries: int = 1
    said: str = ""

    @property
    def at_s(self) -> float:
        """When the answer was there."""
        return self.due_s + self.took_s


def failures(answers: Iterable[Answer]) -> Counter[str]:
    """What was said instead of a prediction, and how often."""
    return Counter(f"{answer.status or 'no answer'}: {answer.said}" for answer in answers if answer.status != OK)


def share(answers: Sequence[Answer], replica: str) -> float:
    """The part of some answers that one replica gave; 0 where there are none."""
    return sum(answer.replica == replica for answer in answers) / len(answers) if answers else 0.0


def bearable(answers: Iterable[Answer], wanted: float) -> float:
    """The wanted rate, in answers a second, or less where these came slower than that: then a fifth is kept free."""
    moments = sorted(answer.at_s for answer in answers)
    borne = (len(moments) - 1) / max(moments[-1] - moments[0], 0.001) if moments else wanted
    return wanted if borne >= wanted * BEARABLE else borne * BEARABLE


def percentile_ms(answers: Iterable[Answer], percent: float) -> float:
    """How long the slowest of the fastest `percent` of answers took, in milliseconds to a tenth."""
    took = sorted(answer.took_s for answer in answers)
    return round(took[max(0, math.ceil(len(took) * percent / 100) - 1)] * 1000, 1) if took else 0.0


def per_second(answers: Sequence[Answer], by: Callable[[Answer], str]) -> list[Series]:
    """Answers a second of each kind, and the slowest one of each second; the last, broken second is left out."""
    if not answers:
        return []
    begun = min(answer.due_s for answer in answers)
    seconds: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        seconds[int(answer.at_s - begun)].append(answer)
    kinds, whole = sorted({by(answer) for answer in answers} - {""}), range(max(seconds))
    rates = [
        Series(f"answers of {kind}", "1/s", [(begun + n, float(sum(by(a) == kind for a in seconds[n]))) for n in whole])
        for kind in kinds
    ]
    return [*rates, Series("slowest answer", "ms", [(begun + n, percentile_ms(seconds[n], 100)) for n in whole])]


def silence(answers: Iterable[Answer], replica: str, from_s: float) -> tuple[float, float] | None:
    """The longest time without a prediction of a replica that began near a moment: its last one, and its next one.

    None when it gave no prediction near the moment, or none ever after.
    """
    moments = sorted(answer.at_s for answer in answers if answer.replica == replica and answer.status == OK)
    near = (pair for pair in itertools.pairwise(moments) if abs(pair[0] - from_s) <= NEAR_S)
    return max(near, key=lambda pair: pair[1] - pair[0], default=None)
