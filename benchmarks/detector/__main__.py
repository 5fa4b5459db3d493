"""Detection time against false suspicion, from beats recorded on this machine: `make benchmark-detector`.

Processes burn the processor while the room's own senders beat beside them; what arrived is then played to the detector
under other thresholds, and to fixed time limits. The intervals, the curve and the machine go to
benchmarks/results/detector.json, the picture beside it; a missed bar is exit code 65.
"""

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.bars import Bar
from benchmarks.detector.curve import Point, point
from benchmarks.detector.recording import intervals, record
from koboshi.exits import STOP
from koboshi.heartbeat import Rhythm

PROJECT = Path(__file__).parents[2]
THRESHOLDS = (1, 2, 3, 4, 6, 8, 10, 12)
LIMITS_BEATS = (1.5, 2, 2.5, 3, 4, 5, 6)
NO_LIMIT_BEATS = 120.0
OURS = Rhythm()


def main(
    minutes: Annotated[float, typer.Option(help="How long to record.")] = 30.0,
    workers: Annotated[int, typer.Option(help="How many processes burn the processor.")] = 4,
    results: Annotated[Path, typer.Option(help="The folder for the figures.")] = bars.RESULTS,
) -> None:
    """Record beats on a busy machine, and say what each threshold would have made of them."""
    say(f"recording the beats of {workers} busy processes for {minutes:g} min")
    recorded = record(workers, minutes * 60, say)
    series, ours = curves(recorded), point("ours", OURS, recorded)
    found = [*judged(ours), *(described(name, p) for name, points in series.items() for p in points)]
    bars.show("The detector's honesty", found)
    kept = {name: [dataclasses.asdict(p) for p in points] for name, points in series.items()}
    gaps = [[round(gap, 4) for gap in intervals(times)] for times in recorded]
    path = bars.save("detector", results, judged(ours), PROJECT, curve=kept, ours=dataclasses.asdict(ours), gaps_s=gaps)
    from benchmarks.detector.picture import draw  # here, since Matplotlib takes long to import

    draw(series, results / "detector.svg", f"{sum(map(len, gaps)):,} beats of {workers} busy processes, 0.5 s apart")
    say(f"the figures are in {path}, and the picture beside it")
    sys.exit(STOP if bars.missed(judged(ours)) else 0)


def curves(recorded: Sequence[Sequence[float]]) -> dict[str, list[Point]]:
    """φ with the pause that we allow for and without one, and fixed limits; none is capped, to see it as it is."""

    def phi(threshold: float, pause_beats: float) -> Point:
        rhythm = dataclasses.replace(OURS, threshold=threshold, pause_beats=pause_beats, longest_beats=NO_LIMIT_BEATS)
        return point(f"φ {threshold:g}", rhythm, recorded)

    def limit(beats: float) -> Point:
        rhythm = dataclasses.replace(OURS, threshold=1e9, longest_beats=beats)
        return point(f"{beats:g} beats", rhythm, recorded)

    return {
        "φ, a pause of two beats allowed for": [phi(threshold, OURS.pause_beats) for threshold in THRESHOLDS],
        "φ without a pause": [phi(threshold, 0.0) for threshold in THRESHOLDS],
        "a fixed limit": [limit(beats) for beats in LIMITS_BEATS],
    }


def judged(ours: Point) -> list[Bar]:
    """What koboshi promises: five beats at most, and nobody suspected who lives."""
    return [
        bars.at_most("silence → suspicion, as shipped", OURS.longest_s, [ours.worst_s]),
        Bar("false suspicions, as shipped", "0", f"{ours.false} in {ours.hours:.2f} worker-hours", ours.false == 0),
    ]


def described(name: str, p: Point) -> Bar:
    """A line of the curve, which is no bar."""
    measured = f"median {p.median_s:.2f} s, worst {p.worst_s:.2f} s; {p.false} false ({p.false_per_hour:.2g} an hour)"
    return Bar(f"{name}: {p.name}", "", measured, True)


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    typer.run(main)
