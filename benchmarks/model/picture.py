"""The figures by week: lines without kills, and on them, as crosses, those of the training that was struck."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.model.entrants import Entrant
from benchmarks.model.outcome import Figures
from benchmarks.model.report import TITLES
from pipelines.published import COLUMNS


def draw(calm: Figures, struck: Figures, entrants: Sequence[Entrant], path: Path, title: str) -> None:
    """One panel for each metric; the published models are dashed."""
    figure, panels = plt.subplots(1, len(COLUMNS), figsize=(13, 4.8), layout="constrained")
    for metric, name_of, axes in zip(COLUMNS, TITLES, panels, strict=True):
        for entrant in entrants:
            starts = [week[5:] for week in calm[entrant.name]]
            values = [week[metric] for week in calm[entrant.name].values()]
            label, style = (f"ours: {entrant.name}", "-") if entrant.ours else (entrant.rebuilt, "--")
            (line,) = axes.plot(starts, values, style, label=label, linewidth=1)
            axes.plot(starts, [week[metric] for week in struck[entrant.name].values()], "x", color=line.get_color())
        axes.set_title(name_of, fontsize=9)
        axes.set_xlabel("training week from", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )
    figure.suptitle(title, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
