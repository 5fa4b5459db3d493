"""A part that dies comes back, with growing pauses; one that cannot start is given up and says so."""

from pathlib import Path

import pytest

from koboshi.stack.part import QUICK_ENDS_ALLOWED, Start, StartHistory, decide_start


def test_the_first_start_and_the_first_restart_come_at_once() -> None:
    """Most ends are accidents: nobody waits for them."""
    assert decide_start([], 100.0) == 0
    assert decide_start([99.0], 100.0) == 0


def test_pauses_double_up_to_a_limit() -> None:
    """A part that goes on dying leaves the machine to the others."""
    pauses = [decide_start([float(i) for i in range(n)], float(n)) for n in range(2, 7)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_part_that_never_lasts_is_given_up() -> None:
    """It does not spin for ever."""
    starts = [float(i) for i in range(QUICK_ENDS_ALLOWED + 1)]
    assert decide_start(starts, 10.0) is None
    assert decide_start(starts[1:], 10.0) is not None


def test_a_start_that_lasted_forgives_what_was_before() -> None:
    """Six accidents in a month are not a part that cannot start."""
    starts = [*(float(i) for i in range(20)), 20.0]
    assert decide_start(starts, 20.0 + 3600) == 0


def test_what_happened_before_a_start_that_lasted_does_not_count() -> None:
    """Only the latest starts, one after another."""
    assert decide_start([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1000.0, 1001.0], 1002.0) is not None


def test_the_history_survives_its_writer_and_ends_with_forget(tmp_path: Path) -> None:
    """The launcher that writes becomes another program; the next one reads what it left."""
    history = StartHistory(tmp_path / "kafka.json")
    history.add(Start(1.0, 10, 100))
    history.give_up("it cannot start")
    assert StartHistory(history.path).starts() == [Start(1.0, 10, 100)]
    assert StartHistory(history.path).note() == "it cannot start"
    history.forget()
    assert (history.starts(), history.note()) == ([], "")


@pytest.mark.parametrize("number", [250])
def test_the_history_does_not_grow_for_ever(tmp_path: Path, number: int) -> None:
    """A month of restarts is still a small file."""
    history = StartHistory(tmp_path / "x.json")
    history._write([Start(float(i), i, i) for i in range(number)], "")
    assert len(history.starts()) == 200
