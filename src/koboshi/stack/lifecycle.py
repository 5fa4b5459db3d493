"""`up`, `down` and `logs`: what is to be done follows from the table of parts, and is done here alone."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from koboshi.errors import BadInput, Conflict
from koboshi.files import publish_bytes, publish_private
from koboshi.settings import Settings
from koboshi.stack import supervisor_control as supervisor
from koboshi.stack.launch import TABLE
from koboshi.stack.part import Part, StartHistory, from_json, to_json
from koboshi.stack.parts import technologies
from koboshi.stack.parts_table import endpoints, parts_of, write_files
from koboshi.stack.paths import StackPaths, find_paths, prepare_paths, remove_runtime
from koboshi.stack.ports import Ports, claim_block, kept_base
from koboshi.stack.process_table import clear_leftovers
from koboshi.stack.topology import Topology, ensure_secrets, own_executables

STOP_LIMIT_S = supervisor.STOP_LIMIT_S + 6
TAIL_BYTES = 20_000
POLL_S = 0.3


def start(settings: Settings, groups: Sequence[str], say: Callable[[str], None]) -> dict[str, Part]:
    """Start some groups beside those that run already; returns at once, the parts are on their way.

    Safe to run again after a crash at any point: what an earlier stack left behind is ended first, files are
    published whole, and the table of parts is written before the supervisor reads it.
    """
    paths = find_paths(settings.project, settings.state_dir)
    prepare_paths(paths)
    with exclusively(paths):
        runs = supervisor.answers(paths)
        known = known_parts(paths) if runs else {}
        if not runs and (left := clear_leftovers(paths)):
            say(f"ended {left} processes of a stack whose supervisor was killed")
        for jars in [technologies()[group].jars for group in groups]:
            if jars is not None:
                jars.fetch(paths.cache, say)
        ports = Ports(kept_base(paths) or 0) if runs else claim_block(paths, settings.stack.base_port)
        topology = Topology(paths, ports, ensure_secrets(paths), own_executables(), slot=settings.serving.slot)
        running = {part.group for part in known.values()}
        parts = parts_of(topology, running.union(groups))
        _publish(topology, parts, running.union(groups))
        _begin(paths, parts, {name for name, part in parts.items() if part.group in groups}, runs=runs)
    return parts


def _publish(topology: Topology, parts: Mapping[str, Part], groups: set[str]) -> None:
    write_files(topology, groups)
    table = {name: to_json(part) for name, part in parts.items()}
    publish_private(topology.paths.own / TABLE, json.dumps(table, indent=1))  # environments hold secrets
    publish_bytes(topology.paths.endpoints, json.dumps(endpoints(topology, groups), indent=1).encode())
    supervisor.write_configuration(topology.paths, parts)


def _begin(paths: StackPaths, parts: Mapping[str, Part], wanted: set[str], *, runs: bool) -> None:
    infos = supervisor.process_infos(paths) if runs else {}
    for name in parts:
        if name not in infos or (name in wanted and infos[name]["statename"] != "RUNNING"):
            history(paths, name).forget()
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
            supervisor.stop_parts(paths)
            deadline = time.monotonic() + STOP_LIMIT_S
            while not supervisor.parts_are_stopped(paths) and time.monotonic() < deadline:
                time.sleep(0.2)
            supervisor.shut_down(paths)
        left = clear_leftovers(paths)
        for path in (paths.own / "starts").glob("*.json"):
            path.unlink()
        paths.endpoints.unlink(missing_ok=True)
        remove_runtime(paths)
    return 0 if supervised else left


def known_parts(paths: StackPaths) -> dict[str, Part]:
    """The table of parts that was published last."""
    path = paths.own / TABLE
    return {name: from_json(part) for name, part in json.loads(path.read_text()).items()} if path.is_file() else {}


def not_started(name: str, others: Sequence[str]) -> BadInput:
    """Why a name stands for no part: nothing was ever started here, or others were."""
    if not others:
        return BadInput(f"no stack was started here yet, so there is no {name}: `koboshi up` starts one.")
    names = ", ".join(others)
    return BadInput(f"{name} is none of the parts that were started, choose from {names}: `koboshi up` starts others.")


def history(paths: StackPaths, name: str) -> StartHistory:
    """The starts of one part."""
    return StartHistory(paths.own / "starts" / f"{name}.json")


@contextlib.contextmanager
def exclusively(paths: StackPaths) -> Iterator[None]:
    """One `up` or `down` at a time for a state folder. The kernel lets go of the lock when the process ends."""
    lock = FileLock(paths.own / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Conflict("another `koboshi up` or `koboshi down` is at work here: wait until it has ended.") from None
    try:
        yield
    finally:
        lock.release()


def log_of(paths: StackPaths, name: str) -> Path:
    """The log file of a part or of the supervisor."""
    started = {part.name: part.log for part in known_parts(paths).values()}
    logs = {**started, "supervisor": paths.logs / "supervisor.log"}
    if name not in logs:
        raise not_started(name, list(logs) if started else [])
    if not logs[name].is_file():
        raise BadInput(f"{name} has written no log yet: start it with `koboshi up`.")
    return logs[name]


def last_lines(path: Path) -> tuple[list[str], int]:
    """The last lines of a file, whole ones at their beginning, and the position at which they end."""
    with path.open("rb") as file:
        begin = max(0, file.seek(0, 2) - TAIL_BYTES)
        file.seek(begin)
        text = file.read()
    lines = text.decode(errors="replace").splitlines()
    return lines[1:] if begin else lines, begin + len(text)


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
