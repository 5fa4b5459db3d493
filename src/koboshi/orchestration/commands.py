"""Run a command so that nothing of it stays behind: own process group, output line by line, ended with its task."""

import ctypes
import dataclasses
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from koboshi.errors import Transient
from koboshi.exits import error_of, on_sigterm

_LOOK_S = 0.5
_GRACE_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code and the last line that it wrote."""

    code: int
    last_line: str


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    on_beat: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a command to its end, handing on each line of its output (stderr included) as it comes.

    `on_beat` is called about twice a second; what it raises ends the command. However this call ends (SIGTERM and
    SIGKILL of this process included) the command's whole process group ends too.
    """
    leashed = [sys.executable, "-m", "koboshi.orchestration.commands", str(os.getpid()), *command]
    with (
        on_sigterm(_stop_task),  # Airflow waits five seconds before it kills a task
        subprocess.Popen(
            leashed,
            cwd=cwd,
            env={**env, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process,
    ):
        try:
            last_line = ""
            for line in _lines(process, on_beat):
                on_line(line)
                last_line = line.strip() or last_line
        finally:
            _end_group(process)
    return Ended(process.returncode, last_line)


def raise_for(ended: Ended, what: str) -> None:
    """Do nothing after exit code 0; else raise what the code stands for (`koboshi.exits.error_of`)."""
    if ended.code != 0:
        raise error_of(ended.code)(f"{what} ended with {ended.code}: {ended.last_line or 'no output'}")


def end_tagged(variable: str, folder: Path) -> list[int]:
    """Kill the processes whose environment says that `variable` is a file in `folder`; their pids.

    This is how the leftovers of a run are found whose process guard was killed together with its task.
    """
    tag, found = f"{variable}={folder}{os.sep}".encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if any(entry.startswith(tag) for entry in file.read_bytes().split(b"\0")):
                found.append(int(file.parent.name))
    for pid in found:
        _signal(os.kill, pid, signal.SIGKILL)
    return found


def _lines(process: "subprocess.Popen[bytes]", on_beat: Callable[[], None]) -> Iterator[str]:
    """Lines until the process guard has ended: what it led may hold the pipe open for ever."""
    assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
    torn, ended = b"", False
    while not ended:
        ended = process.poll() is not None  # looked at first: what was written before the end is read after it
        *whole, torn = (torn + _read(process, process.stdout.fileno(), 0 if ended else _LOOK_S)).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
        on_beat()
    if torn:
        yield torn.decode(errors="replace")


def _read(process: "subprocess.Popen[bytes]", descriptor: int, wait_s: float) -> bytes:
    """What there is to read, all of it, after waiting a little for the first byte or for the process's end."""
    chunks: list[bytes] = []
    while select.select([descriptor], [], [], 0 if chunks else wait_s)[0]:
        if not (chunk := os.read(descriptor, 1 << 16)):
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End whatever is left of the group: an orderly end first, then SIGKILL."""
    left = _signal(os.killpg, process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        process.poll()  # a dead leader that nobody asked for counts as a member
        left = _signal(os.killpg, process.pid, 0)
    _signal(os.killpg, process.pid, signal.SIGKILL)
    process.wait()


def _signal(send: Callable[[int, int], None], target: int, number: int) -> bool:
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _stop_task(_number: int, _frame: FrameType | None) -> None:
    raise Transient("the task was told to stop: what it ran was ended, and can be run again.")


_PR_SET_PDEATHSIG = 1
_LEASH_GRACE_S = 2.0


class _ToldToStop(BaseException):
    pass


def main() -> int:
    """The process guard, `python -m koboshi.orchestration.commands PARENT_PID COMMAND…`: it ends with the parent.

    The kernel's death signal reaches children but not grandchildren, and `dvc repro` leaves its stage running when it
    is killed. So the process guard stands between: it leads the process group, gets the signal, and ends the group. It
    ends as the command ended, with 128 + the signal where it was one.
    """
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, _stop)
    child: subprocess.Popen[bytes] | None = None
    try:
        _die_with(parent)
        child = subprocess.Popen(command)
        code = child.wait()
    except _ToldToStop:
        _end_own_group(child)
    return code if code >= 0 else 128 - code


def _die_with(parent: int) -> None:
    """Ask for SIGTERM at the parent's death; it may have died before we asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        raise _ToldToStop


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _ToldToStop


def _end_own_group(child: subprocess.Popen[bytes] | None) -> None:
    """A moment for an orderly end, then the whole group, this process included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        if child is not None:
            child.wait(_LEASH_GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
