"""Processes by their ids and start times, read from /proc: an id alone may by now be somebody else's."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")
TAG = "IN_KOBOSHI_STACK"  # not KOBOSHI_…: that would be read as a setting


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process as the kernel shows it; `ticks` is its start time since boot, `tag` that of its stack, if any."""

    pid: int
    parent: int
    group: int
    session: int
    ticks: int
    state: str
    tag: str | None = None


def start_ticks(pid: int) -> int:
    """The start time of a living process in clock ticks since boot; 0 when there is none."""
    process = read_process(pid)
    return process.ticks if process else 0


def read_process(pid: int) -> Process | None:
    """One process, or None when it is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0], _tag(pid))


def read_processes() -> dict[int, Process]:
    """All processes of this user that are not dead."""
    found = (read_process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit() and _is_mine(entry))
    return {process.pid: process for process in found if process and process.state not in "ZX"}


def _is_mine(entry: Path) -> bool:
    try:
        return entry.stat().st_uid == os.getuid()
    except OSError:
        return False


def _tag(pid: int) -> str | None:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    found = [entry for entry in environment.split(b"\0") if entry.startswith(f"{TAG}=".encode())]
    return found[0].decode().partition("=")[2] if found else None


def ours(
    processes: Mapping[int, Process], recorded: Iterable[tuple[int, int]], tag: str, apart: frozenset[int]
) -> set[int]:
    """The ids of what belongs to a stack: recorded processes, their groups and sessions, its tag, and descendants.

    Programs that write their own title wipe out their environment, so the tag alone does not find them; their group
    does. A recorded id counts only with its recorded start time, or, when its process is gone, as the name of a group
    or session, which the kernel gives to nobody else while a member lives. `apart` is never in it.
    """
    leaders = set()
    for pid, ticks in recorded:
        living = processes.get(pid)
        if living is None or living.ticks == ticks:
            leaders.add(pid)
    members = {
        p.pid
        for p in processes.values()
        if p.tag == tag or p.pid in leaders or p.group in leaders or p.session in leaders
    }
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
