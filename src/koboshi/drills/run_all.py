"""Runs several drills one after another, and shows how they stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from koboshi.drills.drill import Drill
from koboshi.drills.report import COLOURS, Report, measured
from koboshi.drills.stage import perform
from koboshi.rich_tables import fitted
from koboshi.settings import Settings

COLUMNS = ("detected_after_s", "recovered_after_s", "lost", "doubled", "redone")


def perform_all(drills: Sequence[Drill[Any]], settings: Settings, console: Console) -> list[tuple[Report, Path]]:
    """Run each in turn, with a live table on a terminal and plain lines elsewhere."""
    done: list[tuple[Report, Path]] = []
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def say(line: str) -> None:
            if console.is_terminal:
                live.update(overview(drills, [report for report, _ in done], line), refresh=True)
            else:
                console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

        for drill in drills:
            say(f"{drill.name}: {drill.claim}")
            done.append(perform(drill, settings, say))
    return done


def overview(drills: Sequence[Drill[Any]], reports: Sequence[Report], line: str = "") -> RenderableType:
    """One row for each drill: verdict and the standard measures; the next one is running, which `line` tells of."""
    # Without a frame it fits into 80 columns, where there is no terminal to tell its width.
    table = Table(caption=line or None, caption_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("drill", "verdict", "detected", "recovered", "lost", "doubled", "redone", "took"):
        table.add_column(title, justify="left" if title in ("drill", "verdict") else "right", no_wrap=True)
    for number, drill in enumerate(drills):
        if number < len(reports):
            table.add_row(*_row(reports[number]))
        else:
            table.add_row(drill.name, "running" if number == len(reports) else "")
    return fitted(table)


def _row(report: Report) -> list[str]:
    colour = COLOURS[report.verdict]
    figures = [measured(name, report.measures[name]) if name in report.measures else "·" for name in COLUMNS]
    return [report.drill, f"[{colour}]{report.verdict}[/]", *figures, f"{report.took_s:.0f} s"]
