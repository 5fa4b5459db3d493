"""Reads what ledger, journal, specifications and drivers tell of trainings; changes nothing, at any time."""

import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from koboshi.errors import BadInput
from koboshi.events import CheckpointQuarantined, Recovered, TakenUp
from koboshi.journal import Journal
from koboshi.ledger import Ledger, attempts, leases, steps
from koboshi.training.driver.status import read_status
from koboshi.training.progress.overview import EventLog, Overview, Snapshot, fold, overview
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
            *((attempt.opened_at, attempt.key) for attempt in attempts.recorded(self._ledger)),
            *((at, key) for key, at in steps.last_committed_at(self._ledger).items()),
        ]
        last = {key: at for at, key in sorted(heard)}
        return sorted(last, key=lambda key: last[key])

    def beginnings(self) -> set[tuple[str, str]]:
        """Each beginning of a training that ledger or journal know: its key, and the job's name."""
        self._read_journal()
        told = {(key, job) for key, log in self._logs.items() for job in log.jobs}
        return told | {(attempt.key, _job(attempt)) for attempt in attempts.recorded(self._ledger)}

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
        tried = {_job(attempt) for attempt in attempts.recorded(self._ledger, key)}
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
            attempts=attempts.recorded(self._ledger, key),
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


def _job(attempt: attempts.Attempt) -> str:
    return f"{attempt.key[:16]}-{attempt.number}"
