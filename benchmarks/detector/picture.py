"""The curve as a picture: detection time against false suspicions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.detector.curve import Point

NONE_SEEN = 0.5  # where "none in all these hours" stands on the logarithmic axis: half of what one would be


def draw(series: Mapping[str, Sequence[Point]], path: Path, title: str) -> None:
    """One line for each family of choices; where no suspicion was false the mark is hollow, at half a suspicion."""
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for name, points in series.items():
        shown = [(p.median_s, (p.false or NONE_SEEN) / p.hours) for p in points]
        (line,) = axes.plot(*zip(*shown, strict=True), label=name, linewidth=1)
        for p, at in zip(points, shown, strict=True):
            axes.plot(*at, "o", color=line.get_color(), markerfacecolor=line.get_color() if p.false else "white")
            axes.annotate(p.name, at, textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set_yscale("log")
    axes.set_xlabel("silence until suspicion, median (s)")
    axes.set_ylabel("false suspicions per worker and hour")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
