"""Which checkpoint files may go: old ones that count, and those that count for nothing. Decided pure, then done."""

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import PurePosixPath

from koboshi.errors import KoboshiError, Transient
from koboshi.events import LeftoversRemoved, LeftoversStay, OldCheckpointsStay, Sink
from koboshi.files import TEMPORARY_PREFIX
from koboshi.ledger.steps import CommittedStep
from koboshi.training.checkpoints import CheckpointStore, StoredFile

LEAST = 3  # newest checkpoints of a unit: a bad one, and the one before it, may still be followed by a good one
CLOSE_S = 5.0
GRACE_S = 3_600.0  # whoever has not finished a file by then was killed, or has long been fenced
_CHECKPOINT = re.compile(r"\d{4,}-[0-9a-f]{16}(\.v\d+)?\.ckpt")


def to_drop(held: Sequence[CommittedStep], now: float, keep: int, age_s: float) -> list[CommittedStep]:
    """Of a unit's committed steps whose files are there, oldest first, those whose files may go.

    Those beyond the newest `keep`, and those committed more than `age_s` ago; but never one of the newest `LEAST`,
    however old: a run may be taken up again after any time, and its newest file may have gone bad meanwhile.
    """
    optional = held[: max(0, len(held) - LEAST)]
    beyond = len(held) - max(keep, LEAST)
    return [step for n, step in enumerate(optional) if n < beyond or step.committed_at < now - age_s]


def orphans(found: Sequence[StoredFile], named: Collection[str], now: float, grace_s: float) -> list[str]:
    """Of a run's files, those that a killed or fenced worker left: no row names them, and nobody touches them.

    Only half-written files and checkpoints go; what was quarantined stays, and whatever else somebody put there.
    """
    return [
        file.path for file in found if _ours(file.path) and file.path not in named and file.modified_at < now - grace_s
    ]


def _ours(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(TEMPORARY_PREFIX) or _CHECKPOINT.fullmatch(name) is not None


class Retention:
    """Drops files of a run as its steps are committed, on a thread of its own: nobody waits for it.

    A file that cannot be removed just now harms nobody. That is an event once, and the next driver removes it.
    """

    def __init__(self, store: CheckpointStore, keep: int, age_s: float, emit: Sink, run: str = "") -> None:
        self._store, self._keep, self._age_s, self._emit, self._run = store, keep, age_s, emit, run
        self._held: dict[str, list[CommittedStep]] = {}
        self._executor = ThreadPoolExecutor(1, "retention")
        self._removals: list[Future[None]] = []
        self._told = False

    def begin(
        self, folder: str, committed: Mapping[str, Sequence[CommittedStep]], named: Collection[str], now: float
    ) -> None:
        """Look once what is there: sweep orphans, and know which committed steps have their files.

        `committed` has the steps that count, by unit; `named` are all paths that a row names, quarantined or not. Call
        it under the run's lease, before the first order.
        """
        try:
            found = self._store.listed(folder)
        except Transient as error:
            self._emit(LeftoversStay(run=self._run, reason=str(error)))
            return
        there = {file.path for file in found}
        for unit, steps in committed.items():
            self._held[unit] = [step for step in steps if step.checkpoint.path in there]
        if leftovers := orphans(found, named, now, GRACE_S):
            self._emit(LeftoversRemoved(run=self._run, files=len(leftovers), older_than_min=GRACE_S / 60))
            self._remove(leftovers)

    def committed(self, step: CommittedStep, now: float) -> None:
        """A step with a file counts from now on; older files of its unit may go."""
        held = self._held.setdefault(step.checkpoint.unit, [])
        held.append(step)
        gone = to_drop(held, now, self._keep, self._age_s)
        self._held[step.checkpoint.unit] = [old for old in held if old not in gone]
        self._remove([old.checkpoint.path for old in gone])

    def resumed(self, unit: str, step: int) -> None:
        """A unit goes on from `step`: later ones were quarantined, and their files are no longer ours to remove."""
        self._held[unit] = [old for old in self._held.get(unit, ()) if old.checkpoint.step <= step]

    def close(self) -> None:
        """Wait a little for what is under way; the rest stays, for the next driver."""
        wait(self._removals, CLOSE_S)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _remove(self, paths: Sequence[str]) -> None:
        if paths:
            self._removals = [removal for removal in self._removals if not removal.done()]
            self._removals.append(self._executor.submit(self._removed, paths))

    def _removed(self, paths: Sequence[str]) -> None:
        try:
            for path in paths:
                self._store.remove(path)
        except KoboshiError as error:
            if not self._told:
                self._emit(OldCheckpointsStay(run=self._run, reason=str(error)))
            self._told = True
