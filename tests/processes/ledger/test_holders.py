"""A process that was killed holds no lease any more; one that lives or sleeps still does (liveness; safety is I3's)."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi.errors import LeaseTaken
from koboshi.ledger import Ledger, leases
from koboshi.ledger.leases import is_dead, this_process

TELL = "from koboshi.ledger.leases import this_process; print(this_process(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A living process, and its name."""
    process = subprocess.Popen([sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_that_lives_or_sleeps_is_not_dead(other: tuple[subprocess.Popen[str], str]) -> None:
    process, name = other
    assert not is_dead(this_process())
    assert not is_dead(name)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert not is_dead(name)


def test_a_killed_process_is_dead_before_and_after_its_parent_asks_for_its_end(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    process, name = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name)
    process.wait()
    assert is_dead(name)


def test_the_lease_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    """The next one need not wait for it to run out; that of a process that lives is still its own."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    program = (
        "import os, signal; from koboshi.ledger import Ledger, leases;"
        f"leases.acquire(Ledger({url!r}), 'work', leases.this_process(), 60);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -signal.SIGKILL
    ledger = Ledger(url)
    assert leases.acquire(ledger, "work", this_process(), ttl_s=60).token == 2
    with pytest.raises(LeaseTaken):
        leases.acquire(ledger, "work", "them", ttl_s=60)
