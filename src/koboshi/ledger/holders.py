"""Names of processes that hold leases: on the same machine they tell whether their process is still there.

`host:pid:start@machine`: the start time (clock ticks since boot) tells a process from a later one with its id, the
machine's boot and the namespace of its ids tell whether an id means anything here.
"""

import os
import re
import socket
from pathlib import Path

PROC = Path("/proc")
_NAME = re.compile(r".*:(?P<pid>\d+):(?P<start>\d+)@(?P<machine>\S+)")
_DEAD = "ZX"


def this_process() -> str:
    """The name under which this process holds leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}@{_machine()}"


def is_dead(holder: str) -> bool:
    """Whether a holder has ended for sure: it was a process of this machine, and is not there any more.

    False for every other name. A wrong answer would only cost work: whoever is taken for dead is fenced.
    """
    named = _NAME.fullmatch(holder)
    if named is None or not _machine() or named["machine"] != _machine():
        return False
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _start(int(named["pid"])) != int(named["start"])


def _machine() -> str:
    """The boot and the namespace of process ids; empty where the kernel does not tell."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{(PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _start(pid: int) -> int:
    """When a process began, in clock ticks since boot; 0 when it has ended, also when nobody has asked for its end."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    return 0 if fields[0] in _DEAD else int(fields[19])
