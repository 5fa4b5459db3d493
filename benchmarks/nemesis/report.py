"""What the nemesis did, by kind of fault, and what came of it."""

import statistics
from collections.abc import Sequence

from benchmarks.bars import Bar
from benchmarks.nemesis.striker import Struck


def by_kind(struck: Sequence[Struck]) -> list[Bar]:
    """A line for each kind: how many, and how soon the next step was committed; no bar is set on time here."""
    lines = []
    for kind in sorted({one.kind for one in struck}):
        mine = [one for one in struck if one.kind == kind]
        times = [one.recovered_s for one in mine if one.recovered_s is not None]
        took = (
            f"next step committed after median {statistics.median(times):.2f} s, worst {max(times):.2f} s"
            if times
            else "-"
        )
        redone = max(one.redone for one in mine)
        lines.append(
            Bar(f"{kind}: {len(mine)}", "all recovered", f"{took}; {redone} steps done again at most", met=True)
        )
    return lines


def judged(struck: Sequence[Struck], wanted: int, runs: int, differing: Sequence[str]) -> list[Bar]:
    """The verdict over all trainings."""
    return [
        *by_kind(struck),
        Bar("faults that took", f"≥ {wanted}", str(len(struck)), len(struck) >= wanted),
        Bar(
            "trainings as the undisturbed ones", "all", f"{runs - len(differing)} of {runs}", runs > 0 and not differing
        ),
    ]
