"""`python -m koboshi.stack.launch PART`: what the supervisor runs; it becomes the part's program.

It binds its life to the supervisor's, decides from the start history whether and when to start, records the process,
waits for what the part needs, runs the steps that come first, and calls execve. Standard library only: it starts often.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from koboshi.stack.part import QUICK_ENDS_ALLOWED, Part, Start, StartHistory, decide_start, read_table
from koboshi.stack.process_table import ours, read_processes, start_ticks

GAVE_UP = 96
PR_SET_PDEATHSIG = 1
LOG_LIMIT_BYTES = 20 * 1024**2
GATE_LIMIT_S = 150.0


def main() -> None:
    """Start the part that the first argument names; the stack's records are in the folder of the second."""
    name, own = sys.argv[1], Path(sys.argv[2])
    end_with_parent(int((own / "supervisord.pid").read_text()))
    part = read_table(own)[name]
    write_to_log(part.log)
    history = StartHistory.of(own, name)
    pause_or_give_up(part, history)
    end_earlier(history)
    history.add(Start(time.time(), os.getpid(), start_ticks(os.getpid())))
    os.chdir(part.folder)
    os.environ.update(part.environment)
    wait_for_gates(part)
    run_steps(part)
    os.execvpe(part.argv[0], part.argv, os.environ)  # noqa: S606


def end_with_parent(supervisor: int) -> None:
    """Be sent SIGTERM when the supervisor dies, even by SIGKILL; end at once if it is dead already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        sys.exit(GAVE_UP)


def write_to_log(log: Path) -> None:
    """Write to the part's own file: the supervisor's pipes would break with it. The file before is kept once."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".1.log"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def pause_or_give_up(part: Part, history: StartHistory) -> None:
    """Wait for as long as the history asks, or leave a sentence and an exit code that is not started again."""
    pause_s = decide_start([start.at for start in history.starts()], time.time())
    if pause_s is None:
        history.give_up(
            f"ended {QUICK_ENDS_ALLOWED + 1} times soon after its start: read `koboshi logs {part.name}`, "
            f"then `koboshi up {part.group}` tries again"
        )
        sys.exit(GAVE_UP)
    if pause_s:
        sys.stderr.write(f"koboshi: starting again in {pause_s:.0f} s\n")
        time.sleep(pause_s)


def end_earlier(history: StartHistory) -> None:
    """Kill what an earlier start of this part left running: it would hold the ports, or do the work a second time."""
    recorded = [(start.pid, start.ticks) for start in history.starts()]
    mine = {pid: process for pid, process in read_processes().items() if process.user == os.getuid()}
    for pid in ours(mine, recorded, tag="", apart=frozenset({os.getpid()})):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for_gates(part: Part) -> None:
    """Wait until what the part needs is there; after `GATE_LIMIT_S` end, to be tried again."""
    gates: list[tuple[str, Callable[[], bool]]] = [
        *((f"port {port}", lambda port=port: accepts(port)) for port in part.after_ports),
        *((str(path), path.exists) for path in part.after_files),
    ]
    deadline = time.monotonic() + GATE_LIMIT_S
    for what, is_open in gates:
        while not is_open():
            if time.monotonic() > deadline:
                sys.exit(f"koboshi: {what} was not there after {GATE_LIMIT_S:.0f} s")
            time.sleep(0.2)


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on a port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def run_steps(part: Part) -> None:
    """Run what comes before the program; a step that has left its mark is not run again."""
    for step in part.steps:
        if step.done.exists():
            continue
        code = subprocess.run(step.argv, check=False).returncode
        if code != 0:
            sys.exit(f"koboshi: {' '.join(step.argv[:4])} … ended with {code}")
        step.done.parent.mkdir(parents=True, exist_ok=True)
        step.done.touch()


if __name__ == "__main__":
    main()
