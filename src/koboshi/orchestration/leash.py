"""A command on a leash: when the process that asked for it is gone, the command and all it started go too.

    python -m koboshi.orchestration.leash PARENT_PID COMMAND…

The kernel's death signal reaches children but not grandchildren, and `dvc repro` leaves its stage running when it is
killed. So the leash stands between: it leads the process group, gets the signal, and ends the group.
"""

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_GRACE_S = 2.0


class _ToldToStop(BaseException):
    pass


def main() -> int:
    """Run the command; end as it ended, with 128 + the signal where it was one."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, _stop)
    child: subprocess.Popen[bytes] | None = None
    try:
        _die_with(parent)
        child = subprocess.Popen(command)
        code = child.wait()
    except _ToldToStop:
        _end_group(child)
    return code if code >= 0 else 128 - code


def _die_with(parent: int) -> None:
    """Ask for SIGTERM at the parent's death; it may have died before we asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        raise _ToldToStop


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _ToldToStop


def _end_group(child: subprocess.Popen[bytes] | None) -> None:
    """A moment for an orderly end, then the whole group, this process included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    try:
        if child is not None:
            child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
