"""A part of the stack as the target of a fault: all its processes die at once, and it comes back by itself."""

from collections.abc import Callable
from contextlib import suppress
from xmlrpc.client import Fault

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.faults import kill
from koboshi.drills.kit.watching import eventually
from koboshi.errors import KoboshiError, Unavailable
from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack.lifecycle import find_victim, known_parts
from koboshi.stack.part_state import wait_until_healthy
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.supervisor_control import add_and_start, connected, process_infos

HELD_WITHIN_S = 60.0
WHOLE_WITHIN_S = 150.0  # so long a cluster may take to do real work on every node again


def kill_part(settings: Settings, part: str, detail: str = "") -> Injection | None:
    """SIGKILL to every process of a part, as a crash of its machine would end them.

    Raises `BadInput` for a part that this stack does not have, `Unavailable` when it does not run.
    """
    return kill(part, processes_of(settings, part), detail)


def hold_down(settings: Settings, part: str) -> None:
    """Have the supervisor leave a part off that was killed, until `let_up`. Raises `Unavailable` if it does not.

    It is asked again until it says so: right after a death it is between seeing that and starting the part anew, and
    refuses to stop what does not run.
    """
    paths = _paths(settings)

    def is_off() -> bool:
        if process_infos(paths)[part]["statename"] == "STOPPED":
            return True
        with connected(paths) as supervisor, suppress(Fault):
            supervisor.stopProcess(part)
        return False

    if not eventually(is_off, HELD_WITHIN_S, look_s=0):
        raise Unavailable(f"the supervisor does not leave {part} off: look at `koboshi status`.")


def let_up(settings: Settings, part: str) -> None:
    """Start a part again that was held down; one that runs goes on."""
    add_and_start(_paths(settings), [part])


def processes_of(settings: Settings, part: str) -> tuple[int, ...]:
    """The processes of a part that live now, its own first; raises as `kill_part`."""
    return find_victim(part, settings, _paths(settings)).pids


def is_ours(settings: Settings, *parts: str) -> bool:
    """Whether these parts run in this project's own stack: nothing is injected into what runs elsewhere."""
    return set(parts) <= set(known_parts(_paths(settings)))


def ours_and_well(check: str, settings: Settings, part: str, name: str, probe: Callable[[], Health]) -> Finding:
    """A part's processes are this stack's own, so that they can be found and come back, and it does real work."""
    if not is_ours(settings, part):
        return Finding(check, False, f"no {name} of this stack runs: start it with `koboshi up`")
    health = probe()
    return Finding(check, health.ok, f"{name}: {health.detail}")


def why_not_healthy(settings: Settings, group: str, within_s: float) -> str | None:
    """None as soon as every part of a group has done real work; else what is missing after `within_s`."""
    paths = _paths(settings)
    parts = {name: part for name, part in known_parts(paths).items() if part.group == group}
    try:
        wait_until_healthy(paths, parts, frozenset(), lambda _: None, within_s)
    except KoboshiError as error:
        return str(error)
    return None


def and_healthy(ended: Finding, settings: Settings, group: str, within_s: float, well: str) -> Finding:
    """How the drill's own work ended, once the killed group has done real work again; it holds only if both are so."""
    missing = why_not_healthy(settings, group, within_s)
    return Finding(ended.check, ended.holds and missing is None, f"{ended.said}; {missing or well}")


def _paths(settings: Settings) -> StackPaths:
    return find_paths(settings.project, settings.state_dir)
