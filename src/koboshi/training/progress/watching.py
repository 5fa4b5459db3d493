"""Follows a training to its end: a live picture on a terminal, a line for each change elsewhere, or JSON."""

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live

from koboshi.errors import Transient
from koboshi.training.progress.overview import Overview
from koboshi.training.progress.rich_overview import brief, counted, metrics_text, named, picture, short

LOOK_S = 1.0
FRAME_LINES = 15  # of a picture beside its units and workers: heading, titles, what came up last

Look = Callable[[], Overview]
Write = Callable[[str], None]


def follow(look: Look, show: Callable[[Overview], None], wait: Callable[[], None] = lambda: time.sleep(LOOK_S)) -> None:
    """Show the training's status, again and again, until it has ended."""
    while True:
        seen = look()
        show(seen)
        if seen.ended:
            return
        wait()


def wait_for_next(
    begun: Callable[[], str | None],
    within_s: float | None,
    wait: Callable[[], None] = lambda: time.sleep(LOOK_S),
) -> str:
    """The key of the next training that begins; `begun` tells it. Raises `Transient` when none has after `within_s`."""
    deadline = None if within_s is None else time.monotonic() + within_s
    while (key := begun()) is None:
        if deadline is not None and time.monotonic() >= deadline:
            raise Transient(f"no training began within {within_s:g} s: nothing had to be trained, or it was not tried.")
        wait()
    return key


def watch_live(look: Look, console: Console) -> None:
    """A picture that changes; the last one stays."""
    with Live(console=console, auto_refresh=False) as live:
        follow(look, lambda seen: live.update(fitting(seen, console.height), refresh=True))


def fitting(seen: Overview, height: int) -> Any:
    """A picture that a terminal of so many lines holds."""
    return picture(seen, units=max(4, height - FRAME_LINES - len(seen.workers)), told=5)


class ChangedLines:
    """A line for each step that was committed and each thing that came up since the last look."""

    def __init__(self, write: Write) -> None:
        self._write, self._done, self._told = write, dict[str, int](), 0
        self._named = False

    def show(self, seen: Overview) -> None:
        """Write first which training it is, then what is new, and at the end how it ended."""
        if not self._named:
            self._write(named(seen))
        self._named = True
        for told in seen.told:
            if told.number > self._told:
                self._write(brief(told.sentence, seen.job))
                self._told = told.number
        for unit in seen.units:
            if unit.done > self._done.get(unit.name, 0):
                at = f" ({short(unit.worker, seen.job)})" if unit.worker else ""
                self._write(f"{unit.name}: step {unit.done}/{unit.total or '?'} {metrics_text(unit)}{at}")
            self._done[unit.name] = unit.done
        if seen.ended:
            said = f": {seen.said}" if seen.said else ""
            self._write(f"training {seen.name} is {seen.outcome}, {counted(seen)}{said}")


class ChangedJson:
    """A JSON object a line, whenever something is different."""

    def __init__(self, write: Write) -> None:
        self._write, self._last = write, dict[str, Any]()

    def show(self, seen: Overview) -> None:
        """Write how it stands, unless nothing but the clock has moved."""
        fields = as_json(seen)
        still = {name: value for name, value in fields.items() if name not in ("now", "shown_s")}
        if still != self._last:
            self._write(json.dumps(fields))
        self._last = still


def as_json(seen: Overview) -> dict[str, Any]:
    """All that is known, for programs."""
    counts = {"steps_done": seen.steps_done, "steps": seen.steps, "recoveries": seen.recoveries, "ended": seen.ended}
    return {**dataclasses.asdict(seen), **counts}
