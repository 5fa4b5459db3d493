"""`up`, `down`, `logs` and `kill`: what is to be done follows from the table of parts, and is done here alone."""

import dataclasses
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from koboshi.errors import BadInput, Conflict, Unavailable
from koboshi.events import LeftoversEnded, Sink
from koboshi.files import publish_bytes
from koboshi.settings import Settings
from koboshi.stack import probe_records
from koboshi.stack import supervisor_control as supervisor
from koboshi.stack.launch import end_earlier
from koboshi.stack.part import Part, StartHistory, read_table, write_table
from koboshi.stack.part_state import pids_of
from koboshi.stack.parts import endpoints, parts_of, technologies, write_files
from koboshi.stack.parts import groups as all_groups
from koboshi.stack.parts.jars import environment_store
from koboshi.stack.paths import StackPaths, find_paths, prepare_paths, remove_runtime
from koboshi.stack.process_table import clear_leftovers, read_processes, send
from koboshi.stack.topology import Ports, Topology, claim_block, ensure_secrets, kept_base, own_executables

STOP_LIMIT_S = supervisor.STOP_LIMIT_S + 6
TAIL_BYTES = 20_000
POLL_S = 0.3


def start(settings: Settings, groups: Sequence[str], emit: Sink) -> dict[str, Part]:
    """Start some groups beside those that run already; returns at once, the parts are on their way.

    Safe to run again after a crash at any point: what an earlier stack left behind is ended first, files are
    published whole, and the table of parts is written before the supervisor reads it.
    """
    paths = find_paths(settings.project, settings.state_dir)
    prepare_paths(paths)
    with exclusively(paths):
        runs = supervisor.answers(paths)
        if not runs and (left := clear_leftovers(paths)):
            emit(LeftoversEnded(processes=left))
        for group in groups:
            if (jars := technologies()[group].jars) is not None:
                jars.fetch(paths.cache, emit, environment_store())
        ports = Ports(kept_base(paths) or 0) if runs else claim_block(paths, settings.stack.base_port)
        topology = Topology(paths, ports, ensure_secrets(paths), own_executables(), slot=settings.serving.slot)
        running = {part.group for part in known_parts(paths).values() if runs}
        on_stack = {*groups, *running.intersection(all_groups())}
        parts = parts_of(topology, on_stack)
        _publish(topology, parts, on_stack)
        always = {group for group, found in technologies().items() if found.by_topology}
        _begin(paths, parts, {name for name, part in parts.items() if part.group in always.union(groups)}, runs=runs)
    return parts


def _publish(topology: Topology, parts: Mapping[str, Part], groups: set[str]) -> None:
    write_files(topology, groups)
    write_table(topology.paths.own, parts)
    publish_bytes(topology.paths.endpoints, json.dumps(endpoints(topology, groups), indent=1).encode())
    supervisor.write_configuration(topology.paths, parts)


def _begin(paths: StackPaths, parts: Mapping[str, Part], wanted: set[str], *, runs: bool) -> None:
    infos = supervisor.process_infos(paths) if runs else {}
    for name in parts:
        if name not in infos or (name in wanted and infos[name]["statename"] != "RUNNING"):
            StartHistory.of(paths.own, name).forget()
    if runs:
        supervisor.add_and_start(paths, wanted)
    else:
        supervisor.start_supervisor(paths)


def stop(settings: Settings) -> int:
    """End the whole stack, and remove what it keeps outside of the state folder.

    Returns how many processes had no supervisor any more.
    """
    paths = find_paths(settings.project, settings.state_dir)
    if not paths.own.is_dir():
        return 0
    with exclusively(paths):
        if supervised := supervisor.answers(paths):
            supervisor.end_supervisor(paths, STOP_LIMIT_S)
        left = clear_leftovers(paths)
        for path in (paths.own / "starts").glob("*.json"):
            path.unlink()
        probe_records.forget(paths.own)
        paths.endpoints.unlink(missing_ok=True)
        remove_runtime(paths)
    return 0 if supervised else left


def stop_parts(settings: Settings, names: Sequence[str]) -> list[Part]:
    """End some parts, or groups of them, and return which; each stays down until `start` is asked for its group.

    Raises `BadInput` for a name that stands for no part that was started, `Unavailable` when one does not end.
    """
    paths = find_paths(settings.project, settings.state_dir)
    if not supervisor.answers(paths):
        raise BadInput(f"no stack runs here, so there is no {names[0]} to stop: `koboshi up` starts one.")
    parts = known_parts(paths)
    chosen = {part.name: part for name in names for part in _named(parts, name)}
    with exclusively(paths):
        supervisor.stop_programs(paths, chosen, STOP_LIMIT_S)
        for name in chosen:
            end_earlier(StartHistory.of(paths.own, name))
    return list(chosen.values())


def _named(parts: Mapping[str, Part], name: str) -> list[Part]:
    found = [part for part in parts.values() if name in (part.name, part.group)]
    if not found:
        raise not_started(name, list(parts))
    return found


def known_parts(paths: StackPaths) -> dict[str, Part]:
    """The table of parts that was published last."""
    return read_table(paths.own)


def not_started(name: str, others: Sequence[str]) -> BadInput:
    """Why a name stands for no part: nothing was ever started here, or others were."""
    if not others:
        return BadInput(f"no stack was started here yet, so there is no {name}: `koboshi up` starts one.")
    return BadInput(
        f"{name} is none of the parts that were started, choose from {', '.join(others)}: `koboshi up` starts others."
    )


def exclusively(paths: StackPaths) -> AbstractContextManager[FileLock]:
    """One `up` or `down` at a time for a state folder. The kernel lets go of the lock when the process ends."""
    try:
        return FileLock(paths.own / "lock").acquire(blocking=False)
    except Timeout:
        raise Conflict("another `koboshi up` or `koboshi down` is at work here: wait until it has ended.") from None


def log_of(paths: StackPaths, name: str) -> Path:
    """The log file of a part or of the supervisor."""
    started = {part.name: part.log for part in known_parts(paths).values()}
    logs = {**started, "supervisor": paths.logs / "supervisor.log"}
    if name not in logs:
        raise not_started(name, list(logs) if started else [])
    if not logs[name].is_file():
        raise BadInput(f"{name} has written no log yet: start it with `koboshi up`.")
    return logs[name]


def last_lines(path: Path, count: int | None = None) -> tuple[list[str], int]:
    """The last lines of a file, whole ones at their beginning, and the position at which they end.

    As many as `count` says, or where it is not given those of the last `TAIL_BYTES`.
    """
    with path.open("rb") as file:
        end, size = file.seek(0, 2), TAIL_BYTES
        while True:
            begin = max(0, end - size)
            file.seek(begin)
            text = file.read(end - begin)
            if not begin or count is None or text.count(b"\n") > count:
                break
            size *= 2
    lines = text.decode(errors="replace").splitlines()[1 if begin else 0 :]
    return lines if count is None else lines[max(0, len(lines) - count) :], end


def new_lines(path: Path, position: int, is_over: Callable[[], bool]) -> Iterator[str]:
    """Lines as they are written from a position on, also when the file is begun anew, until it is over."""
    rest = ""
    while not is_over():
        size = path.stat().st_size if path.exists() else 0
        if size < position:
            position = 0
        if size == position:
            time.sleep(POLL_S)
            continue
        with path.open("rb") as file:
            file.seek(position)
            rest += file.read(size - position).decode(errors="replace")
        position = size
        *lines, rest = rest.split("\n")
        yield from lines


@dataclasses.dataclass(frozen=True, slots=True)
class Victim:
    """What was signalled: its process first, then those that belong to it."""

    name: str
    pids: tuple[int, ...]
    doing: str = ""


def signal_number(name: str) -> signal.Signals:
    """KILL, SIGKILL or 9."""
    text = name.upper().removeprefix("SIG")
    try:
        return signal.Signals(int(text)) if text.isdigit() else signal.Signals[f"SIG{text}"]
    except (KeyError, ValueError):
        raise BadInput(f"{name} is not a signal: try KILL, TERM, STOP or CONT.") from None


def find_victim(name: str, settings: Settings, paths: StackPaths) -> Victim:
    """The processes that a name stands for, living now.

    Raises `BadInput` for a name that no part has, `Unavailable` when there is no such process now.
    """
    for technology in technologies().values():
        if name in technology.inner:
            pid, doing = technology.inner[name](settings)
            return Victim(name, (pid,), doing)
    parts = known_parts(paths)
    found = [t for group, t in technologies().items() if any(part.group == group for part in parts.values())]
    nicknames = {short: part for technology in found for short, part in technology.nicknames.items()}
    part = nicknames.get(name, name)
    if part not in parts:
        inner = [other for technology in found for other in technology.inner]
        raise not_started(name, [*inner, *nicknames, *parts])
    pids = pids_of(StartHistory.of(paths.own, part).starts()[-1:], read_processes())
    if not pids:
        raise Unavailable(f"{part} does not run: `koboshi status` tells why.")
    return Victim(part, pids)


def strike(victim: Victim, number: signal.Signals) -> tuple[int, ...]:
    """Signal every process of the victim; returns those that were there to take it."""
    return tuple(pid for pid in victim.pids if send(pid, number))
