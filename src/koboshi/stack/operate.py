"""`up` and `down`: the only ones that start and end the stack. What is to be done follows from the table of parts."""

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from koboshi.errors import BadInput, Conflict
from koboshi.files import publish_bytes, publish_private
from koboshi.settings import Settings
from koboshi.stack import supervisor_control as supervisor
from koboshi.stack.launch import TABLE
from koboshi.stack.leftovers import clear_leftovers
from koboshi.stack.part import Part, from_json, to_json
from koboshi.stack.parts import technologies
from koboshi.stack.parts_table import endpoints, parts_of, write_files
from koboshi.stack.places import Places, find_places, prepare_places, remove_runtime
from koboshi.stack.ports import Ports, claim_block, kept_base
from koboshi.stack.site import Site, ensure_secrets, own_programs
from koboshi.stack.start_history import StartHistory

STOP_LIMIT_S = supervisor.STOP_LIMIT_S + 6


def start(settings: Settings, groups: Sequence[str], say: Callable[[str], None]) -> dict[str, Part]:
    """Start some groups beside those that run already; returns at once, the parts are on their way.

    Safe to run again after a crash at any point: what an earlier stack left behind is ended first, files are
    published whole, and the table of parts is written before the supervisor reads it.
    """
    places = find_places(settings.project, settings.state_dir)
    prepare_places(places)
    with exclusively(places):
        runs = supervisor.answers(places)
        known = known_parts(places) if runs else {}
        if not runs and (left := clear_leftovers(places)):
            say(f"ended {left} processes of a stack whose supervisor was killed")
        for jars in [technologies()[group].jars for group in groups]:
            if jars is not None:
                jars.fetch(places.cache, say)
        ports = Ports(kept_base(places) or 0) if runs else claim_block(places, settings.stack.base_port)
        site = Site(places, ports, ensure_secrets(places), own_programs(), slot=settings.serving.slot)
        running = {part.group for part in known.values()}
        parts = parts_of(site, running.union(groups))
        _publish(site, parts, running.union(groups))
        _begin(places, parts, {name for name, part in parts.items() if part.group in groups}, runs=runs)
    return parts


def _publish(site: Site, parts: Mapping[str, Part], groups: set[str]) -> None:
    write_files(site, groups)
    table = {name: to_json(part) for name, part in parts.items()}
    publish_private(site.places.own / TABLE, json.dumps(table, indent=1))  # environments hold secrets
    publish_bytes(site.places.endpoints, json.dumps(endpoints(site, groups), indent=1).encode())
    supervisor.write_configuration(site.places, parts)


def _begin(places: Places, parts: Mapping[str, Part], wanted: set[str], *, runs: bool) -> None:
    infos = supervisor.process_infos(places) if runs else {}
    for name in parts:
        if name not in infos or (name in wanted and infos[name]["statename"] != "RUNNING"):
            history(places, name).forget()
    if runs:
        supervisor.add_and_start(places, wanted)
    else:
        supervisor.start_supervisor(places)


def stop(settings: Settings) -> int:
    """End the whole stack, and remove what it keeps outside of the state folder.

    Returns how many processes had no supervisor any more.
    """
    places = find_places(settings.project, settings.state_dir)
    if not places.own.is_dir():
        return 0
    with exclusively(places):
        if supervised := supervisor.answers(places):
            supervisor.stop_parts(places)
            deadline = time.monotonic() + STOP_LIMIT_S
            while not supervisor.parts_are_stopped(places) and time.monotonic() < deadline:
                time.sleep(0.2)
            supervisor.shut_down(places)
        left = clear_leftovers(places)
        for path in (places.own / "starts").glob("*.json"):
            path.unlink()
        places.endpoints.unlink(missing_ok=True)
        remove_runtime(places)
    return 0 if supervised else left


def known_parts(places: Places) -> dict[str, Part]:
    """The table of parts that was published last."""
    path = places.own / TABLE
    return {name: from_json(part) for name, part in json.loads(path.read_text()).items()} if path.is_file() else {}


def not_started(name: str, others: Sequence[str]) -> BadInput:
    """Why a name stands for no part: nothing was ever started here, or others were."""
    if not others:
        return BadInput(f"no stack was started here yet, so there is no {name}: `koboshi up` starts one.")
    names = ", ".join(others)
    return BadInput(f"{name} is none of the parts that were started, choose from {names}: `koboshi up` starts others.")


def history(places: Places, name: str) -> StartHistory:
    """The starts of one part."""
    return StartHistory(places.own / "starts" / f"{name}.json")


@contextlib.contextmanager
def exclusively(places: Places) -> Iterator[None]:
    """One `up` or `down` at a time for a state folder. The kernel lets go of the lock when the process ends."""
    with (places.own / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another `koboshi up` or `koboshi down` is at work here: wait until it has ended.") from None
        yield
