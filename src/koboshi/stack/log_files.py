"""A part's log, from its last lines on."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from koboshi.errors import BadInput
from koboshi.stack.operate import known_parts, not_started
from koboshi.stack.places import Places

TAIL_BYTES = 20_000
POLL_S = 0.3


def log_of(places: Places, name: str) -> Path:
    """The log file of a part or of the supervisor."""
    started = {part.name: part.log for part in known_parts(places).values()}
    logs = {**started, "supervisor": places.logs / "supervisor.log"}
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
