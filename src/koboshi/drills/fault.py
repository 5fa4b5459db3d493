"""Faults that prove that they fired: a process is named, seen, killed, and seen to be gone."""

import dataclasses
import time
from collections.abc import Callable, Collection

import psutil

POLL_S = 0.01
ASK_S = 0.5
GONE_WITHIN_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Strike:
    """SIGKILL was sent to this process once, while its title was `doing`; `gone` says that it was dead afterwards.

    `at_s` is the wall clock (seconds since 1970), `at_monotonic` the machine's monotonic clock.
    """

    pid: int
    doing: str
    cpu_s: float
    at_s: float
    at_monotonic: float
    gone: bool

    def __str__(self) -> str:
        return f"SIGKILL to process {self.pid} ({self.doing}), {self.cpu_s:.2f} s of work into it"


def kill_while(
    doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool], cpu_s: float = 0.1
) -> Strike | None:
    """Kill the first of some processes whose title is `doing`, once it has worked at it for `cpu_s` of processor time.

    So the strike is in the middle: after the beginning, and (the title is read again at the last moment) before the
    end. None when it is `over` first, or when what it does was done sooner than that.
    """
    process = _find(doing, pids, over)
    if process is None:
        return None
    began = _cpu_s(process)
    while (worked := _cpu_s(process) - began) < cpu_s and _title(process) == doing:
        time.sleep(POLL_S)
    if _title(process) != doing:
        return None
    at_s, at_monotonic = time.time(), time.monotonic()
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return None
    return Strike(process.pid, doing, worked, at_s, at_monotonic, _is_gone(process))


def _find(doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool]) -> psutil.Process | None:
    """Titles are read often, because the moment is short; who there is to look at is asked seldom."""
    while not over():
        known, until = [psutil.Process(pid) for pid in pids() if psutil.pid_exists(pid)], time.monotonic() + ASK_S
        while time.monotonic() < until:
            if found := next((process for process in known if _title(process) == doing), None):
                return found
            time.sleep(POLL_S)
    return None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _is_gone(process: psutil.Process) -> bool:
    """`Process` knows its start time, so another process with the same pid is not taken for this one."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(POLL_S)
    return False
