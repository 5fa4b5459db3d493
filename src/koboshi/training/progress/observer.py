"""Reads what ledger, journal, specifications and drivers tell of trainings, changes nothing; follows one to its end.

It is followed by a live picture on a terminal, by a line for each change elsewhere, or in JSON.
"""

import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from koboshi.errors import BadInput, Transient
from koboshi.events import CheckpointQuarantined, Recovered, TakenUp
from koboshi.journal import Journal
from koboshi.ledger import Ledger, intents, leases, steps
from koboshi.training.driver.status import read_status
from koboshi.training.progress.overview import EventLog, Overview, Snapshot, fold, overview
from koboshi.training.progress.rich_overview import brief, counted, metrics_text, named, picture, short
from koboshi.training.spec import TrainingSpec, checkpoints_folder, specification_file


class Observer:
    """Looks again and again: of the journal it reads only what is new."""

    def __init__(self, state_dir: Path, ledger: Ledger) -> None:
        self._state_dir, self._ledger = state_dir, ledger
        self._journal, self._offset = Journal(state_dir / "journal" / "training.jsonl"), 0
        self._logs: defaultdict[str, EventLog] = defaultdict(EventLog)
        self._totals: dict[str, dict[str, int]] = {}

    def keys(self) -> list[str]:
        """All trainings that ledger or journal know, in the order in which they were heard of last."""
        self._read_journal()
        heard = [
            *((log.last_at, key) for key, log in self._logs.items()),
            *((attempt.opened_at, attempt.key) for attempt in intents.recorded(self._ledger)),
            *((at, key) for key, at in steps.last_committed_at(self._ledger).items()),
        ]
        last = {key: at for at, key in sorted(heard)}
        return sorted(last, key=lambda key: last[key])

    def beginnings(self) -> set[tuple[str, str]]:
        """Each beginning of a training that ledger or journal know: its key, and the job's name."""
        self._read_journal()
        told = {(key, job) for key, log in self._logs.items() for job in log.jobs}
        return told | {(attempt.key, _job(attempt)) for attempt in intents.recorded(self._ledger)}

    def begun_since(self, before: Collection[tuple[str, str]]) -> str | None:
        """The key of a training that has begun, or begun once more, since these beginnings were all; None without."""
        new = {key for key, _job in self.beginnings().difference(before)}
        return next((key for key in self.keys() if key in new), None)

    def chosen(self, word: str | None) -> str | None:
        """The key that a word names: its beginning, or a job's name; without a word the newest, if there is one.

        Raises `BadInput` when it names none, or several.
        """
        keys = self.keys()
        if word is None:
            return keys[-1] if keys else None
        found = [key for key in keys if key.startswith(word) or word in self._jobs(key)]
        if len(found) != 1:
            problem = f"{len(found)} trainings begin with {word}" if found else f"no training {word} is known here"
            raise BadInput(f"{problem}: `koboshi train history` lists them.")
        return found[0]

    def _jobs(self, key: str) -> set[str]:
        tried = {_job(attempt) for attempt in intents.recorded(self._ledger, key)}
        return tried.union(self._logs[key].jobs if key in self._logs else ())

    def look(self, key: str) -> Overview:
        """How one training stands. Raises `BadInput` where a file is of a newer format."""
        self._read_journal()
        # The lease first: who let it go between two readings has committed its last step before.
        held = leases.is_held(self._ledger, f"training/{key}")
        status = read_status(self._state_dir, key)
        totals = self._specified(key) or {name: unit.total for name, unit in (status.units if status else {}).items()}
        snapshot = Snapshot(
            key=key,
            attempts=intents.recorded(self._ledger, key),
            newest=steps.newest_of_run(self._ledger, key),
            totals=totals,
            log=self._logs[key] if key in self._logs else EventLog(),
            status=status,
            held=held,
            now=time.time(),
        )
        return overview(snapshot)

    def _read_journal(self) -> None:
        entries, self._offset = self._journal.read(self._offset)
        fold(self._logs, entries)

    def _specified(self, key: str) -> dict[str, int]:
        """The units' numbers of steps, as who submitted the training has specified them; it never changes."""
        if key not in self._totals:
            try:
                path = specification_file(checkpoints_folder(self._state_dir), key)
                units = TrainingSpec.from_json(path.read_text()).units
            except (OSError, ValueError, BadInput):
                return {}
            self._totals[key] = {name: unit.steps for name, unit in units.items()}
        return self._totals[key]


def recoveries(journal: Journal, run_key: str) -> dict[str, list[str]]:
    """By unit, a sentence for each time that training went on after a failure, oldest first: for its page in MLflow."""
    told: dict[str, list[str]] = defaultdict(list)
    for event in (entry.event for entry in journal.entries()):
        if event.run == run_key and isinstance(event, Recovered | TakenUp | CheckpointQuarantined):
            told[event.unit].append(event.sentence.removeprefix(f"{event.unit}: "))
    return told


def _job(attempt: intents.Attempt) -> str:
    return f"{attempt.key[:16]}-{attempt.number}"


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
