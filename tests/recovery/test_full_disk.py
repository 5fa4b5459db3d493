"""A checkpoint store on a disk that is really full: training goes on, and what it costs is counted."""

import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from koboshi.events import in_words, to_all
from koboshi.ledger import steps
from koboshi.training import checkpoints
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.driver.loop import train
from koboshi.training.driver.worker import StepOrder
from koboshi.training.spec import TrainingSpec
from tests.support.local_pool import BEFORE, LocalPool
from tests.support.trainings import chain_spec, events_of, journal_of, ledger_of, undisturbed


@pytest.fixture
def disk(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A file system of its own, of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or (made := subprocess.run(words, capture_output=True, text=True, check=False)).returncode:
        reason = "this is not root" if os.geteuid() != 0 else made.stderr.strip()
        lacking(f"no small disk can be mounted ({reason}): run the test as root, in a container with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class DiskFullFor(LocalPool):
    """Something else fills the disk before the first of `full`, and goes before the step after the last."""

    def __init__(self, disk: Path, full: range, deaths: list[tuple[str, int, str]]) -> None:
        super().__init__(deaths)
        self.disk, self.full = disk, full

    def begin(self, worker: str, order: StepOrder) -> None:
        if order.step in self.full:
            fill(self.disk)
        else:
            (self.disk / "other").unlink(missing_ok=True)
        super().begin(worker, order)


def fill(disk: Path) -> None:
    with (disk / "other").open("ab", buffering=0) as other:
        try:
            while other.write(bytes(4096)):
                pass
        except OSError:
            return


def on(disk: Path, spec: TrainingSpec) -> TrainingSpec:
    return dataclasses.replace(spec, place=dataclasses.replace(spec.place, store=str(disk / "store")))


@pytest.mark.parametrize(
    ("deaths", "begun"),
    [([], [*range(1, 8)]), ([("a", 5, BEFORE)], [*range(1, 6), *range(3, 8)])],
    ids=["nobody dies", "a worker dies in the pause"],
)
def test_training_goes_on_while_the_disk_is_full_and_a_death_costs_the_steps_at_risk(
    tmp_path: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    deaths: list[tuple[str, int, str]],
    begun: list[int],
) -> None:
    """I2, I5: the states of an undisturbed run, every step's metrics, and the steps at risk told while they are."""
    monkeypatch.setattr(checkpoints, "BACKOFF_S", (0.0, 0.0))
    spec, said = on(disk, chain_spec(tmp_path, steps={"a": 7})), list[str]()
    pool = DiskFullFor(disk, range(3, 6), deaths)
    train(spec, pool, ledger_of(spec), to_all(journal_of(spec).emit, in_words(said.append)))
    rows = steps.committed(ledger_of(spec), spec.key, "a")
    assert [row.checkpoint.step for row in rows] == [*range(1, 8)]
    assert [row.checkpoint.step for row in rows if not row.checkpoint.path] == [3, 4, 5]
    assert all(row.metrics for row in rows)
    assert {"a": read_checkpoint(spec.place.store_url, rows[-1].checkpoint)} == undisturbed(spec)
    assert [step for _, step in pool.begun] == begun
    assert any("3 steps are in memory alone" in line and "is full" in line for line in said)
    assert [len(events_of(spec, f"checkpoints {what}")) for what in ("paused", "go on")] == [1, 1]
