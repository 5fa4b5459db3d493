"""`koboshi kill`: a signal to a part, or to a process inside of one, as an accident would send it."""

import dataclasses
import signal

from koboshi.errors import BadInput, Unavailable
from koboshi.settings import Settings
from koboshi.stack.lifecycle import history, known_parts, not_started
from koboshi.stack.part_state import pids_of
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths
from koboshi.stack.process_table import read_processes, send


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
    pids = pids_of(history(paths, part).starts()[-1:], read_processes())
    if not pids:
        raise Unavailable(f"{part} does not run: `koboshi status` tells why.")
    return Victim(part, pids)


def strike(victim: Victim, number: signal.Signals) -> tuple[int, ...]:
    """Signal every process of the victim; returns those that were there to take it."""
    return tuple(pid for pid in victim.pids if send(pid, number))
