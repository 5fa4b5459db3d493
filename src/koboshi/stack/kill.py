"""`koboshi kill`: a signal to a part, to a node, or to the actor that trains, as an accident would send it."""

import dataclasses
import signal

from koboshi.errors import BadInput, Unavailable
from koboshi.settings import Settings
from koboshi.stack.leftovers import send
from koboshi.stack.operate import history, known_parts, not_started
from koboshi.stack.part_state import pids_of
from koboshi.stack.places import Places
from koboshi.stack.process_table import read_processes
from koboshi.stack.ray_parts import NODES
from koboshi.stack.ray_workers import training_worker

WORKER, NODE = "ray-worker", "ray-node"


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


def find_victim(name: str, settings: Settings, places: Places) -> Victim:
    """The processes that a name stands for, living now.

    Raises `BadInput` for a name that no part has, `Unavailable` when there is no such process now.
    """
    if name == WORKER:
        if settings.ray.jobs_url is None:
            raise Unavailable("Ray does not run: start it with `koboshi up ray`.")
        pid, doing = training_worker(settings.ray.jobs_url, settings.ray.token_path)
        return Victim(name, (pid,), doing)
    parts = known_parts(places)
    part = NODES[0] if name == NODE else name
    if part not in parts:
        nodes = [WORKER, NODE] if NODES[0] in parts else []
        raise not_started(name, [*nodes, *parts])
    pids = pids_of(history(places, part).starts()[-1:], read_processes())
    if not pids:
        raise Unavailable(f"{part} does not run: `koboshi status` tells why.")
    return Victim(part, pids)


def strike(victim: Victim, number: signal.Signals) -> tuple[int, ...]:
    """Signal every process of the victim; returns those that were there to take it."""
    return tuple(pid for pid in victim.pids if send(pid, number))
