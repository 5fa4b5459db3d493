"""What a killed supervisor left behind: found by recorded ids, groups, sessions, tag and descent, ended by id."""

import os
import signal
import time
from pathlib import Path

from koboshi.errors import NotConfigured, Unavailable
from koboshi.stack.places import Places
from koboshi.stack.process_table import ours, read_process, read_processes
from koboshi.stack.start_history import StartHistory
from koboshi.stack.supervisor_control import recorded_supervisor

TERM_LIMIT_S = 6.0
KILL_LIMIT_S = 8.0


def find_leftovers(places: Places) -> set[int]:
    """The ids of every living process of this stack, known to a supervisor or not; never the caller's own line.

    The processes of the user to whom the folder belongs are found, too: root and every other user sees them.
    """
    supervisor = recorded_supervisor(places)
    recorded = [*([supervisor] if supervisor else []), *recorded_starts(places.own / "starts")]
    owner = [places.own.stat().st_uid] if places.own.is_dir() else []
    return ours(read_processes(), recorded, places.stack_id, _own_line(), owner)


def recorded_starts(folder: Path) -> list[tuple[int, int]]:
    """The ids and start times that the launchers recorded."""
    return [(start.pid, start.ticks) for path in folder.glob("*.json") for start in StartHistory(path).starts()]


def _own_line() -> frozenset[int]:
    pids, pid = set(), os.getpid()
    while pid > 1 and (process := read_process(pid)) is not None:
        pids.add(pid)
        pid = process.parent
    return frozenset(pids)


def clear_leftovers(places: Places) -> int:
    """End every process of this stack: first asked, then killed. Returns how many there were.

    Found anew before each round, because a process that is being ended may start others. Raises `Unavailable` when
    one does not go away, naming it: an orphan that goes on writing is worse than a stack that does not start.
    """
    found = find_leftovers(places)
    for number, limit_s in ((signal.SIGTERM, TERM_LIMIT_S), (signal.SIGKILL, KILL_LIMIT_S)):
        deadline = time.monotonic() + limit_s
        signalled: set[int] = set()
        while (living := find_leftovers(places)) and time.monotonic() < deadline:
            for pid in living - signalled:
                send(pid, number)
                send(pid, signal.SIGCONT)  # a stopped process could not end
            signalled |= living
            time.sleep(0.1)
        found |= signalled
        if not living:
            return len(found)
    raise Unavailable(f"processes {sorted(living)} do not end: look at them with ps, end them, and try again.")


def send(pid: int, number: int) -> bool:
    """Signal one process; False when it is gone already. Raises `NotConfigured` for another user's."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise NotConfigured(f"process {pid} of this stack is another user's: do this as that user.") from error
    return True
