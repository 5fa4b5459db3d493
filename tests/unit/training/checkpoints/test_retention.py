"""Which checkpoint files may go, decided pure (properties), and done without being in anybody's way."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.errors import DiskFailed
from koboshi.events import in_words
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints import StoredFile
from koboshi.training.checkpoints.file_store import FolderStore
from koboshi.training.checkpoints.retention import GRACE_S, LEAST, Retention, orphans, to_drop

NAME = "{:04d}-{:016x}.v1.ckpt"
HOUR_S = 3_600.0


def step(number: int, at: float = 0.0, unit: str = "a") -> CommittedStep:
    path = f"run/{unit}/{NAME.format(number, number)}"
    return CommittedStep(CheckpointRef("run", unit, number, path, "0" * 64), {}, at)


def numbers(steps: list[CommittedStep]) -> list[int]:
    return [one.checkpoint.step for one in steps]


times = st.lists(st.floats(0, 1e6), max_size=12).map(sorted)


@settings(max_examples=50, deadline=None)
@given(ages=times, now=st.floats(0, 2e6), keep=st.integers(0, 12), age_s=st.floats(0, 1e6))
def test_the_newest_ones_are_never_dropped(ages: list[float], now: float, keep: int, age_s: float) -> None:
    """Whatever the settings, however old: as many as it takes to survive a bad file, and another one."""
    held = [step(number, at) for number, at in enumerate(ages, 1)]
    dropped = to_drop(held, now, keep, age_s)
    assert set(numbers(dropped)).isdisjoint(numbers(held[-LEAST:]))
    assert numbers(dropped) == list(range(1, len(dropped) + 1)), "what is left is the newest, without holes"


@settings(max_examples=50, deadline=None)
@given(ages=times, now=st.floats(0, 2e6), keep=st.integers(LEAST, 12), age_s=st.floats(0, 1e6))
def test_what_is_left_is_neither_too_much_nor_too_old(ages: list[float], now: float, keep: int, age_s: float) -> None:
    held = [step(number, at) for number, at in enumerate(ages, 1)]
    left = held[len(to_drop(held, now, keep, age_s)) :]
    assert len(left) <= keep
    assert all(one.committed_at >= now - age_s for one in left[:-LEAST])
    assert to_drop(left, now, keep, age_s) == [], "dropping again drops nothing"


def test_count_and_age_both_let_files_go() -> None:
    held = [step(number, at=number * HOUR_S) for number in range(1, 11)]
    assert numbers(to_drop(held, 10 * HOUR_S, keep=5, age_s=100 * HOUR_S)) == [1, 2, 3, 4, 5]
    assert numbers(to_drop(held, 10 * HOUR_S, keep=9, age_s=4.5 * HOUR_S)) == [1, 2, 3, 4, 5]
    assert numbers(to_drop(held, 99 * HOUR_S, keep=9, age_s=4.5 * HOUR_S)) == [1, 2, 3, 4, 5, 6, 7]


FILES = st.lists(
    st.builds(
        StoredFile,
        st.sampled_from(
            [
                f"run/a/{NAME.format(1, 1)}",
                "run/a/0002-00000000000000ff.ckpt",
                "run/b/.part-0123456789abcdef0123456789abcdef",
                f"run/a/{NAME.format(1, 1)}.bad-01234567",
                "run/specification.json",
                "run/a/notes.txt",
                "run/a/my-0001-0000000000000001.v1.ckpt",
            ]
        ),
        st.floats(0, 1e5),
    ),
    unique_by=lambda file: file.path,
)


@settings(max_examples=50, deadline=None)
@given(found=FILES, now=st.floats(0, 1e5), named=st.sets(st.sampled_from([f"run/a/{NAME.format(1, 1)}", "run/x"])))
def test_only_old_leftovers_of_ours_are_swept(found: list[StoredFile], now: float, named: set[str]) -> None:
    """Never what a row names, nor what was quarantined, what somebody else put there, or what is young."""
    swept = orphans(found, named, now, GRACE_S)
    assert set(swept).isdisjoint(named)
    assert all(name.endswith(".ckpt") or ".part-" in name for name in swept)
    assert not any("my-" in name for name in swept)
    old = {file.path for file in found if file.modified_at < now - GRACE_S}
    assert set(swept) <= old
    ours = {f"run/a/{NAME.format(1, 1)}", "run/a/0002-00000000000000ff.ckpt"} | {n for n in old if ".part-" in n}
    assert set(swept) == (old & ours) - named


def filled(folder: Path, steps: list[CommittedStep]) -> FolderStore:
    for one in steps:
        path = folder / one.checkpoint.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return FolderStore(folder)


def left(folder: Path) -> list[int]:
    return sorted(int(path.name[:4]) for path in folder.rglob("*.ckpt"))


def test_files_go_as_steps_are_committed_and_only_those_that_are_there(tmp_path: Path) -> None:
    """A driver that takes a run up knows from one look what an earlier one has dropped."""
    rows = [step(number) for number in range(1, 7)]
    store = filled(tmp_path, rows[2:])
    asked = []
    store.remove = lambda path, remove=store.remove: (asked.append(path), remove(path))  # type: ignore[method-assign]
    retention = Retention(store, 4, HOUR_S, lambda _event: None)
    retention.begin("run", {"a": rows}, {one.checkpoint.path for one in rows}, now=0.0)
    filled(tmp_path, [step(7)])
    retention.committed(step(7), now=1.0)
    retention.close()
    assert left(tmp_path) == [4, 5, 6, 7]
    assert len(asked) == 1


def test_files_of_steps_that_were_quarantined_stay(tmp_path: Path) -> None:
    rows = [step(number) for number in range(1, 7)]
    retention = Retention(filled(tmp_path, rows), 3, HOUR_S, lambda _event: None)
    retention.begin("run", {"a": rows}, {one.checkpoint.path for one in rows}, now=0.0)
    retention.resumed("a", 4)
    retention.committed(step(5), now=1.0)
    retention.close()
    assert left(tmp_path) == [3, 4, 5, 6]


def test_a_store_that_removes_nothing_is_told_once_and_waited_for_by_nobody(tmp_path: Path) -> None:
    """Commits go on while a removal hangs."""
    rows, said, released = [step(number) for number in range(1, 10)], list[str](), threading.Event()

    class Stuck(FolderStore):
        def remove(self, path: str) -> None:  # noqa: ARG002
            released.wait(60)
            raise DiskFailed("the disk is read only: mend it.")

    store = filled(tmp_path, rows)
    retention = Retention(Stuck(tmp_path), 3, HOUR_S, in_words(said.append))
    for one in rows:
        retention.committed(one, now=1.0)
    assert said == []
    released.set()
    retention.close()
    assert said == ["old checkpoints stay for now: the disk is read only: mend it."]
    again = Retention(store, 3, HOUR_S, in_words(said.append))
    again.begin("run", {"a": rows}, (), now=0.0)
    again.committed(step(10), now=1.0)
    again.close()
    assert left(tmp_path) == [8, 9], "and the next driver removes them"


def test_leftovers_are_swept_as_a_run_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    store = filled(tmp_path, [step(1), step(2)])
    (tmp_path / "run/a/.part-1").touch()
    retention = Retention(store, 3, HOUR_S, in_words(said.append))
    later = (tmp_path / "run/a/.part-1").stat().st_mtime + GRACE_S + 1
    retention.begin("run", {"a": [step(2)]}, {step(2).checkpoint.path}, now=later)
    retention.close()
    assert [path.name for path in (tmp_path / "run/a").iterdir()] == [NAME.format(2, 2)]
    assert said == ["2 files that no step names, older than 60 min, are removed"]


def test_a_store_that_cannot_be_listed_stops_no_run() -> None:
    class Gone(FolderStore):
        def listed(self, folder: str) -> list[StoredFile]:  # noqa: ARG002
            raise DiskFailed("it does not answer: try again.")

    said: list[str] = []
    retention = Retention(Gone(Path("/nowhere")), 3, HOUR_S, in_words(said.append))
    retention.begin("run", {"a": [step(1)]}, (), now=0.0)
    retention.close()
    assert said == ["leftovers are not swept this time: it does not answer: try again."]
