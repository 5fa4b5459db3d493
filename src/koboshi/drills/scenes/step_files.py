"""A training's steps as their files come and go: watched by the drill itself, beside the trainer's bookkeeping."""

import dataclasses
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from koboshi.drills.evidence import Series

LOOK_S = 0.03  # a file stays until three more steps of its unit are done


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class StepFile:
    """One writing of one step's file: the same step written again has another inode or another time."""

    at_s: float
    unit: str
    step: int
    inode: int


class StepFiles:
    """Looks into the folders of a run's units, again and again, on a thread of its own.

    Files appear under their final names only when they are whole, so each sighting is a step that was done, at the
    time that the file system says. Whether it was also committed is not asked of anybody: a step counts as committed
    once the next one of its unit is there, since no step is begun before the one before it is committed.
    """

    def __init__(self, folder: Path) -> None:
        """The folder of the run's checkpoints, which need not be there yet."""
        self._folder = folder
        self._seen: set[StepFile] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="step-files", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, then no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def written(self) -> list[StepFile]:
        """All writings that were seen so far, oldest first."""
        return sorted(self._seen.copy())

    def reached(self, before_s: float) -> Mapping[str, int]:
        """The highest step of each unit that was on disk at a time (seconds since 1970)."""
        highest: defaultdict[str, int] = defaultdict(int)
        for file in self.written():
            if file.at_s <= before_s:
                highest[file.unit] = max(highest[file.unit], file.step)
        return highest

    def series(self) -> Series:
        """How many different steps were on disk so far, over time."""
        firsts: dict[tuple[str, int], float] = {}
        for file in self.written():
            firsts.setdefault((file.unit, file.step), file.at_s)
        points = [(at_s, float(count)) for count, at_s in enumerate(sorted(firsts.values()), 1)]
        return Series("steps done", "steps", points)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()
        self._look()

    def _look(self) -> None:
        for path in self._folder.glob("*/[0-9]*-*.ckpt"):
            try:
                found = path.stat()
            except OSError:  # it was just dropped
                continue
            step = int(path.name.partition("-")[0])
            self._seen.add(StepFile(found.st_mtime, path.parent.name, step, found.st_ino))


def written_more_than_once(files: list[StepFile]) -> Mapping[tuple[str, int], list[StepFile]]:
    """The writings of each step that was written again."""
    by_step: defaultdict[tuple[str, int], list[StepFile]] = defaultdict(list)
    for file in sorted(files):
        by_step[file.unit, file.step].append(file)
    return {step: writings for step, writings in by_step.items() if len(writings) > 1}
