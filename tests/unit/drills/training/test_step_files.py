"""The drill's own look at a training's files: what was written, when, and what was written again."""

import os
from pathlib import Path

from koboshi.drills.training.witnesses import StepFiles, written_more_than_once
from koboshi.files import publish_bytes


def write(folder: Path, unit: str, step: int, at_s: float) -> None:
    path = publish_bytes(folder / unit / f"{step:04d}-abc.ckpt", b"state").path
    os.utime(path, (at_s, at_s))


def seen(folder: Path) -> StepFiles:
    files = StepFiles(folder)
    files.start()
    return files


def test_each_writing_is_seen_once_with_its_time(tmp_path: Path) -> None:
    """Temporary files are no steps; what was dropped later is remembered."""
    write(tmp_path, "a", 1, 10.0)
    write(tmp_path, "b", 1, 11.0)
    (tmp_path / "a" / ".part-1").write_bytes(b"half")
    files = seen(tmp_path)
    files.stop()
    assert [(file.unit, file.step, file.at_s) for file in files.written()] == [("a", 1, 10.0), ("b", 1, 11.0)]
    assert files.series().points == [(10.0, 1.0), (11.0, 2.0)]
    assert written_more_than_once(files.written()) == {}


def test_the_same_step_again_is_another_writing(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, 10.0)
    files = StepFiles(tmp_path)
    files._look()
    write(tmp_path, "a", 1, 20.0)
    files._look()
    again = written_more_than_once(files.written())
    assert [file.at_s for file in again["a", 1]] == [10.0, 20.0]
    assert files.series().points == [(10.0, 1.0)]


def test_what_was_reached_at_a_moment(tmp_path: Path) -> None:
    """The highest step on disk then; a unit that had none is not among them."""
    for step, at_s in ((1, 10.0), (2, 12.0), (3, 14.0)):
        write(tmp_path, "a", step, at_s)
    write(tmp_path, "b", 1, 14.0)
    files = seen(tmp_path)
    files.stop()
    assert files.reached(13.0) == {"a": 2}
    assert files.reached(14.0) == {"a": 3, "b": 1}


def test_a_folder_that_is_not_there_yet_is_no_error(tmp_path: Path) -> None:
    files = seen(tmp_path / "later")
    files.stop()
    assert files.written() == []
