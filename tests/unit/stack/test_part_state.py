"""What a person is told of a part."""

import os
import time

import pytest

from koboshi.errors import BadInput
from koboshi.probes import Health
from koboshi.stack.lifecycle import signal_number
from koboshi.stack.part_state import GAVE_UP, HEALTHY, STARTING, STOPPED, UNHEALTHY, decide_state, pss_bytes
from koboshi.stack.rich_table import since_text

ILL = Health(False, "port 1 is not open")


@pytest.mark.parametrize(
    ("statename", "note", "health", "starting", "expected"),
    [
        ("RUNNING", "", Health(True, "did it"), False, HEALTHY),
        ("RUNNING", "", ILL, False, UNHEALTHY),
        ("RUNNING", "", ILL, True, STARTING),
        ("RUNNING", "", None, True, STARTING),
        ("EXITED", "ended 7 times", ILL, False, GAVE_UP),
        ("STOPPED", "", None, False, STOPPED),
        (None, "", None, False, STOPPED),
    ],
)
def test_the_state_follows_from_supervisor_launcher_and_probe(
    statename: str | None, note: str, health: Health | None, starting: bool, expected: str
) -> None:
    """A part that is up but does no work is not healthy; one that was given up says why."""
    state, detail = decide_state(statename, note, health, starting=starting)
    assert state == expected
    assert detail == (note or (health.detail if health and statename else detail))


def test_memory_is_measured_and_that_of_a_dead_process_is_none() -> None:
    """Shared pages by their share."""
    assert pss_bytes(os.getpid()) > 1024**2
    assert pss_bytes(2**22 + 1) == 0


def test_how_long_a_part_has_run_is_said_for_people() -> None:
    """Minutes and seconds, then hours."""
    assert since_text(None) == ""
    assert since_text(time.time() - 65) == "1:05"
    assert since_text(time.time() - 3700).startswith("1:01:4")


def test_signals_have_many_spellings() -> None:
    """And what is none is refused with examples."""
    assert {signal_number(name) for name in ("KILL", "sigkill", "9")} == {9}
    with pytest.raises(BadInput, match="try KILL, TERM, STOP or CONT"):
        signal_number("BANG")
