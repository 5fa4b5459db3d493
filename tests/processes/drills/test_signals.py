"""A fault gets into a real process, in the middle of what it does, once, and proves it."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from koboshi.drills.kit.faults import ASK_S, kill, kill_while, look_until, resume, stop

BUSY = "while True: sum(range(1000))"
IDLE = "import signal; signal.pause()"


def title(code: str) -> str:
    return f"{sys.executable} -c {code}"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    yield process
    process.kill()
    process.wait()


def test_kills_the_process_that_does_it_and_sees_it_gone(busy: subprocess.Popen[bytes]) -> None:
    injection = kill_while(title(BUSY), lambda: [busy.pid], lambda: False)
    assert injection is not None
    assert (injection.pid, injection.target, injection.took) == (busy.pid, title(BUSY), True)
    assert injection.detail.endswith("s of work into it")
    assert busy.wait(60) == -signal.SIGKILL


def test_leaves_others_alone(busy: subprocess.Popen[bytes]) -> None:
    """A pid that does something else, or is no process at all, gets no signal."""
    asked = iter((False, False, True))
    assert kill_while("ray::something", lambda: [busy.pid, 2**22 + 1], lambda: next(asked)) is None
    assert busy.poll() is None


def test_does_not_inject_when_it_is_over_before_the_middle() -> None:
    """What ends before it has worked long enough was not caught in its middle."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    asked = iter([[process.pid], []])

    def pids() -> list[int]:
        found = next(asked)
        if found and process.stdin:
            process.stdin.close()
        return found

    over = iter([False, False, True])
    assert kill_while(title("input()"), pids, lambda: next(over), cpu_s=60) is None
    process.wait(60)
    assert process.returncode != -signal.SIGKILL


def test_stops_and_lets_go_on(busy: subprocess.Popen[bytes]) -> None:
    """The kernel says that it is stopped; a stopped process is not gone."""
    injection = stop("worker", [busy.pid])
    assert injection is not None
    assert (injection.fault, injection.took, injection.pid) == ("SIGSTOP", True, busy.pid)
    resume([busy.pid])
    assert psutil.Process(busy.pid).status() != psutil.STATUS_STOPPED
    killed = kill("worker", [busy.pid])
    assert killed is not None
    assert killed.took


def test_nobody_there_is_no_injection() -> None:
    assert kill("worker", [2**22 + 1]) is None
    assert stop("worker", []) is None


def test_where_asking_takes_long_looking_takes_longer() -> None:
    """Else the short moment passes while it is asked, again and again, who there is to look at."""
    assert look_until(10.0, 10.01) == 10.01 + ASK_S
    assert look_until(10.0, 14.0) == 14.0 + 3 * 4.0
