"""A store that is full, fails or is slow: training goes on, the steps at risk are counted, the last is insisted on."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

import pytest

from koboshi.errors import DiskFailed, NotConfigured, Transient
from koboshi.refs import CheckpointRef
from koboshi.training import checkpoints
from koboshi.training.checkpoints import CheckpointWriter, Saved


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    """Time passes when somebody sleeps, and waiting for what is under way takes no time."""
    clock = Clock()
    monkeypatch.setattr(checkpoints, "time", clock)
    return clock


class Clock:
    now, slept = 100.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


class ByHand(Executor):
    """Writes end when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[object], Callable[[], object]]] = []

    def submit(self, fn):  # type: ignore[no-untyped-def, override]
        future: Future[object] = Future()
        self.waiting.append((future, fn))
        return future

    def end(self) -> None:
        future, fn = self.waiting.pop(0)
        try:
            future.set_result(fn())
        except Exception as error:  # noqa: BLE001 (as every executor does)
            future.set_exception(error)


class AtOnce(ByHand):
    def submit(self, fn):  # type: ignore[no-untyped-def, override]
        future = super().submit(fn)
        self.end()
        return future


class Disk:
    """What was written, and how the next writes fail."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.states, self.dumps = list(failures), list[int](), 0
        self.takes: Callable[[], None] = lambda: None

    def write(self, state: bytes) -> CheckpointRef:
        self.takes()
        if self.failures:
            raise self.failures.pop(0)
        self.states.append(int(state))
        return CheckpointRef("r", "a", int(state), f"{int(state)}", "")


def saved(writer: CheckpointWriter, disk: Disk, step: int, **how: float) -> Saved:
    def dump() -> bytes:
        disk.dumps += 1
        return str(step).encode()

    return writer.save(step, dump, disk.write, **how)


def told(result: Saved) -> tuple[int | None, int]:
    return (result.checkpoint.step if result.checkpoint else None, result.at_risk)


FULL = DiskFailed("the disk is full: make room, then run it again.")


def test_a_good_store_tells_of_each_step_with_its_own_answer() -> None:
    writer, disk = CheckpointWriter(), Disk()
    assert [told(saved(writer, disk, step)) for step in (1, 2, 3)] == [(1, 0), (2, 0), (3, 0)]
    assert disk.states == [1, 2, 3]


def test_what_is_not_worth_waiting_for_is_written_beside_the_next_step(clock: Clock) -> None:
    """Of a store that keeps up, no more than one step is ever at risk beside the one in hand, and nothing is wrong."""
    writer, disk = CheckpointWriter(AtOnce()), Disk()

    def steps(*numbers: int, write_s: float) -> list[tuple[int | None, int]]:
        disk.takes = lambda: clock.sleep(write_s)
        results = [saved(writer, disk, number, worth_s=0.5) for number in numbers]
        assert {result.trouble for result in results} == {""}
        return [told(result) for result in results]

    assert steps(1, 2, 3, write_s=0.6) == [(1, 0), (2, 0), (3, 0)], "one late write says nothing"
    assert steps(4, 5, write_s=0.6) == [(None, 1), (4, 1)]
    assert steps(6, 7, write_s=0.1) == [(5, 1), (7, 0)], "the store is quick again"
    assert disk.states == [1, 2, 3, 4, 5, 6, 7]


def test_a_full_disk_pauses_checkpoints_and_the_work_at_risk_is_counted(clock: Clock) -> None:
    """States that the store does not take are not even dumped, until it is time to try again."""
    writer, disk = CheckpointWriter(AtOnce()), Disk(FULL, FULL)
    assert told(saved(writer, disk, 1)) == (None, 1)
    again = saved(writer, disk, 2)
    assert (told(again), again.trouble, disk.dumps) == ((None, 2), str(FULL), 1)
    clock.now += 1
    assert told(saved(writer, disk, 3)) == (None, 3)
    clock.now += 0.6
    assert told(saved(writer, disk, 4)) == (None, 4), "the second pause is longer"
    clock.now += 1
    assert saved(writer, disk, 5) == Saved(CheckpointRef("r", "a", 5, "5", ""), 0, "")
    assert disk.states == [5], "one file stands for all the steps that were at risk"
    assert clock.slept == 0, "no step waited"


def test_a_slow_store_is_waited_for_once_and_then_written_to_beside_the_steps(monkeypatch, clock: Clock) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.05)
    executor, disk = ByHand(), Disk()
    writer = CheckpointWriter(executor)
    first = saved(writer, disk, 1)
    assert (told(first), first.trouble) == ((None, 1), "the checkpoint store takes longer than 0.05 s to write")
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 3_600.0)  # whoever waits now, waits for ever
    assert told(saved(writer, disk, 2)) == (None, 2)
    executor.end()
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.05)
    assert told(saved(writer, disk, 3)) == (1, 2)
    assert disk.dumps == 2


def test_the_last_step_is_tried_again_until_it_is_durable(clock: Clock) -> None:
    writer, disk = CheckpointWriter(AtOnce()), Disk(FULL, FULL, FULL)
    assert told(saved(writer, disk, 3, last=True)) == (3, 0)
    assert clock.slept == pytest.approx(0.5 + 1 + 2)


def test_the_last_step_is_not_waited_for_for_ever(clock: Clock) -> None:
    """Whoever ordered it is told, and asks again."""
    writer, disk = CheckpointWriter(AtOnce()), Disk(*[FULL] * 99)
    result = saved(writer, disk, 3, last=True)
    assert (told(result), result.trouble) == ((None, 3), str(FULL))
    assert clock.slept == pytest.approx(checkpoints.LAST_PATIENCE_S)
    disk.failures.clear()
    clock.now += 60
    assert told(saved(writer, disk, 3, last=True)) == (3, 0)


@pytest.mark.parametrize("error", [NotConfigured("no such bucket: make it."), ZeroDivisionError()])
def test_what_no_pause_can_mend_is_raised(error: Exception) -> None:
    writer, disk = CheckpointWriter(AtOnce()), Disk(error)
    with pytest.raises(type(error)):
        saved(writer, disk, 1)


def test_a_write_of_before_is_nothing_to_a_unit_that_is_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.01)
    executor, disk = ByHand(), Disk(Transient("late"))
    writer = CheckpointWriter(executor)
    saved(writer, disk, 7)
    writer.take_up(2)
    executor.end()
    result = saved(writer, disk, 3)
    assert told(result) == (None, 1)
    assert "late" not in result.trouble


def test_the_steps_go_on_while_a_write_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the thread that is really used."""
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.05)
    released, disk, writer = threading.Event(), Disk(), CheckpointWriter()

    def stuck(state: bytes) -> CheckpointRef:
        released.wait(60)
        return disk.write(state)

    risks = [writer.save(step, lambda: b"1", stuck).at_risk for step in range(1, 6)]
    assert risks == [1, 2, 3, 4, 5]
    released.set()
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 60.0)
    assert told(saved(writer, disk, 6, last=True)) == (6, 0)
    assert disk.states == [1, 6]
