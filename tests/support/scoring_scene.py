"""A batch scoring, killed before each of its renamings; every file and folder of it appears by one.

    python -m tests.support.scoring_scene FOLDER

Everything is imported once, here; each run is a forked child, its job in the same process. Prints a line of JSON for
each renaming: what it was, what was wrong right after the kill, and whether the next run ended as an undisturbed one.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from koboshi.datasets.build import open_verified
from koboshi.errors import KoboshiError
from koboshi.events import unheard
from koboshi.refs import ModelRef
from koboshi.scoring.batch import Order, score
from koboshi.scoring.partition_unit import Version
from koboshi.training import attach
from tests.support.forked import Forked, answer_of
from tests.support.invariants import STEPS, tables
from tests.support.scorings import LocalJobs, files_of, place_in, recorded_version, small_dataset


class ScoreADataset:
    """Two partitions of one file."""

    def prepare(self, folder: Path) -> None:
        small_dataset(folder / "rows", {"a.parquet": 20})
        recorded_version(folder)

    def enter(self, folder: Path) -> None:
        attach.POLL_S = 0.0
        (artefact,) = (path for path in (folder / "models").iterdir() if path.is_dir())
        version = Version(ModelRef("m", 1, "k" * 64, artefact.name), "nowhere", "http://127.0.0.1:9", folder / "models")
        order = Order(folder / "rows", version, folder / "scored", ("id",), rows=10)
        score(order, place_in(folder), LocalJobs(), Path("job.py"), unheard)

    def violations(self, folder: Path) -> list[str]:
        """A row whose file is not as committed, or scores that are there and not whole."""
        wrong = [
            f"I2: {row['path']} is not as committed" for row in _rows(folder) if _digest(folder, row) != row["sha256"]
        ]
        try:
            if (folder / "scored").exists():
                open_verified(folder / "scored")
        except KoboshiError as error:
            wrong.append(f"I2: {error}")
        return wrong

    def state(self, folder: Path) -> Any:
        """What is published, what is committed for it, and that nothing half made is beside it."""
        published = {name: hashlib.sha256(data).hexdigest() for name, data in files_of(folder / "scored").items()}
        committed = sorted((row["unit"], row["sha256"]) for row in _rows(folder))
        return published, committed, sorted(path.name for path in folder.glob(".part-*"))


def _rows(folder: Path) -> list[Any]:
    with tables(folder / "ledger.db") as ask:
        return ask(STEPS)


def _digest(folder: Path, row: Any) -> str:
    path = folder / "checkpoints" / row["path"]
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "not there"


def _killed_before(number: int, folder: Path) -> None:
    """Enter, and die before renaming `number`; what was renamed last stands in a file beside the folder."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event != "os.rename":
            return
        seen += 1
        if seen == number:
            folder.with_suffix(".at").write_text(Path(str(arguments[1])).name)
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    ScoreADataset().enter(folder)


def main() -> None:
    scene, before, number, killed = ScoreADataset(), Path(sys.argv[1]) / "before", 0, True
    before.mkdir()
    answer_of(partial(scene.prepare, before))
    expected = answer_of(partial(_entered, shutil.copytree(before, before.with_name("undisturbed"))))
    while killed:
        number += 1
        folder = shutil.copytree(before, before.with_name(f"at-{number}"))
        child = Forked(partial(_killed_before, number, folder))
        child.go()
        killed = child.end()[0] == -signal.SIGKILL
        if killed:
            at, wrong = folder.with_suffix(".at").read_text(), scene.violations(folder)
            same = answer_of(partial(_entered, folder)) == expected
            sys.stdout.write(json.dumps({"at": at, "wrong": wrong, "same": same}) + "\n")


def _entered(folder: Path) -> Any:
    ScoreADataset().enter(folder)
    return [ScoreADataset().violations(folder), ScoreADataset().state(folder)]


if __name__ == "__main__":
    main()
