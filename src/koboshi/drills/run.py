"""Runs drills: puts each on its environment, keeps what came out, and shows how several stand."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from koboshi.drills.drill import Drill, run_drill
from koboshi.drills.report import COLOURS, Report, make_report, measured, measures_of, save
from koboshi.events import DrillBegan, Sink, in_words
from koboshi.files import tree_digest
from koboshi.ledger import Ledger, spans
from koboshi.rich_tables import fitted
from koboshi.settings import Settings


def fingerprints(settings: Settings) -> dict[str, str]:
    """A digest for each dataset in data/, each committed span, and each alias of the served model."""
    return {**_datasets(settings), **_spans(settings), **_champion(settings)}


def _datasets(settings: Settings) -> dict[str, str]:
    folder = settings.project / "data"
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return {f"dataset {path.name}": tree_digest(path) for path in found if not path.name.startswith(".")}


def _spans(settings: Settings) -> dict[str, str]:
    """The rows and, by their digests, what they name; spans that are landed meanwhile are no harm."""
    ledger = Ledger(settings.ledger_url)
    landed = [span for topic in settings.ingest.topics for span in spans.committed(ledger, topic)]
    ledger.close()
    return {f"span {span.path}": span.sha256 for span in landed}


def _champion(settings: Settings) -> dict[str, str]:
    if settings.mlflow.tracking_uri is None:
        return {}
    from koboshi.registry.mlflow_registry import MlflowRegistry

    slot = settings.serving.slot
    return {slot: str(MlflowRegistry(settings.mlflow.tracking_uri, settings.serving.model).aliased(slot))}


def perform(drill: Drill[Any], settings: Settings, emit: Sink) -> tuple[Report, Path]:
    """Run a drill and save its report; returns both. The files of its run stay when it is refuted, to be looked at."""
    at_s = time.time()
    outcome = run_drill(drill, drill.environment(settings, emit), lambda: fingerprints(settings), emit)
    report = make_report(drill, outcome, at_s, settings.project)
    return report, save(settings.state_dir / "drills", report)


COLUMNS = ("detected_after_s", "recovered_after_s", "lost", "doubled", "redone")


def perform_all(drills: Sequence[Drill[Any]], settings: Settings, console: Console) -> list[tuple[Report, Path]]:
    """Run each in turn, with a live table on a terminal and plain lines elsewhere."""
    done: list[tuple[Report, Path]] = []
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(line: str) -> None:
            if console.is_terminal:
                live.update(overview(drills, [report for report, _ in done], line), refresh=True)
            else:
                console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

        emit = in_words(show)
        for drill in drills:
            emit(DrillBegan(drill=drill.name, claim=drill.claim))
            done.append(perform(drill, settings, emit))
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
    verdict, measures = report.outcome.verdict, measures_of(report.outcome)
    figures = [measured(name, measures[name]) if name in measures else "·" for name in COLUMNS]
    return [report.drill, f"[{COLOURS[verdict]}]{verdict}[/]", *figures, f"{report.took_s:.0f} s"]
