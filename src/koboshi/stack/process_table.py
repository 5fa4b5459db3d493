"""Processes by their ids and start times, read from /proc: an id alone may by now be somebody else's.

What a killed supervisor left behind is found by recorded ids, groups, sessions, tag and descent, and ended by id. The
records hold the kernel's ticks since boot, not psutil's time of day, which moves when the clock is set.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from koboshi.errors import NotConfigured, Unavailable
from koboshi.stack.part import StartHistory
from koboshi.stack.paths import StackPaths

PROC = Path("/proc")
TERM_LIMIT_S = 6.0
KILL_LIMIT_S = 8.0
TAG = "IN_KOBOSHI_STACK"  # not KOBOSHI_…: that would be read as a setting


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process as the kernel shows it; `ticks` is its start time since boot, `tag` that of its stack, if any.

    `user` is the number of its owner. The tag of another user's process is hidden, except from root.
    """

    pid: int
    parent: int
    group: int
    session: int
    ticks: int
    state: str
    tag: str | None = None
    user: int = dataclasses.field(default_factory=os.getuid)


def start_ticks(pid: int) -> int:
    """The start time of a living process in clock ticks since boot; 0 when there is none."""
    process = read_process(pid)
    return process.ticks if process else 0


def read_process(pid: int) -> Process | None:
    """One process, or None when it is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
        user = (PROC / str(pid)).stat().st_uid
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0], _tag(pid), user)


def read_processes() -> dict[int, Process]:
    """All processes that are not dead, of every user: each user sees every stack."""
    found = (read_process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process and process.state not in "ZX"}


def _tag(pid: int) -> str | None:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    found = [entry for entry in environment.split(b"\0") if entry.startswith(f"{TAG}=".encode())]
    return found[0].decode().partition("=")[2] if found else None


def ours(
    processes: Mapping[int, Process],
    recorded: Iterable[tuple[int, int]],
    tag: str,
    apart: frozenset[int],
    users: Iterable[int] = (),
) -> set[int]:
    """The ids of what belongs to a stack: recorded processes, their groups and sessions, its tag, and descendants.

    Programs that write their own title wipe out their environment, so the tag alone does not find them; their group
    does. A recorded id counts only with its recorded start time, or, when its process is gone, as the name of a group
    or session, which the kernel gives to nobody else while a member lives. `apart` is never in it.

    A group whose leader is gone may by now be another user's: it counts only if that is this user, one of `users`, or
    one who has a recorded or tagged process that lives.
    """
    recorded = set(recorded)
    leaders = {pid for pid, ticks in recorded if pid not in processes or processes[pid].ticks == ticks}
    sure = {p for p in processes.values() if p.tag == tag or (p.pid, p.ticks) in recorded}
    owners = {os.getuid(), *users, *(p.user for p in sure)}
    members = {p.pid for p in sure}
    members |= {p.pid for p in processes.values() if p.user in owners and {p.group, p.session} & leaders}
    return _with_descendants(processes, members) - apart


def _with_descendants(processes: Mapping[int, Process], members: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    reached, waiting = set(), list(members)
    while waiting:
        pid = waiting.pop()
        if pid not in reached:
            reached.add(pid)
            waiting.extend(children.get(pid, ()))
    return reached


def recorded_supervisor(paths: StackPaths) -> tuple[int, int] | None:
    """The id and start time of the supervisor that was started last."""
    path = paths.own / "supervisor.start"
    if not path.is_file() or not path.read_text():
        return None
    pid, ticks = path.read_text().split()
    return int(pid), int(ticks)


def find_leftovers(paths: StackPaths) -> set[int]:
    """The ids of every living process of this stack, known to a supervisor or not; never the caller's own line.

    The processes of the user to whom the folder belongs are found, too: root and every other user sees them.
    """
    supervisor = recorded_supervisor(paths)
    histories = map(StartHistory, (paths.own / "starts").glob("*.json"))
    starts = [(start.pid, start.ticks) for history in histories for start in history.starts()]
    recorded = [*([supervisor] if supervisor else []), *starts]
    owner = [paths.own.stat().st_uid] if paths.own.is_dir() else []
    return ours(read_processes(), recorded, paths.stack_id, _own_line(), owner)


def _own_line() -> frozenset[int]:
    pids, pid = set(), os.getpid()
    while pid > 1 and (process := read_process(pid)) is not None:
        pids.add(pid)
        pid = process.parent
    return frozenset(pids)


def clear_leftovers(paths: StackPaths) -> int:
    """End every process of this stack: first asked, then killed. Returns how many there were.

    Found anew before each round, because a process that is being ended may start others. Raises `Unavailable` when
    one does not go away, naming it: an orphan that goes on writing is worse than a stack that does not start.
    """
    found = find_leftovers(paths)
    for number, limit_s in ((signal.SIGTERM, TERM_LIMIT_S), (signal.SIGKILL, KILL_LIMIT_S)):
        deadline = time.monotonic() + limit_s
        signalled: set[int] = set()
        while (living := find_leftovers(paths)) and time.monotonic() < deadline:
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
