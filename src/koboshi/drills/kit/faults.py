"""Faults that prove that they took: processes are seen to be killed or stopped, a file's digest differs.

A part of the stack is a target, too: all its processes die at once, and it comes back by itself.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from xmlrpc.client import Fault

import psutil

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.own_run import eventually
from koboshi.errors import KoboshiError, Unavailable
from koboshi.files import sha256_of
from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack.lifecycle import find_victim, known_parts
from koboshi.stack.part_state import wait_until_healthy
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.supervisor_control import add_and_start, connected, process_infos

POLL_S = 0.01
MIDDLE_S = 0.1  # of processor time: so much work into it is in the middle
ASK_S = 0.5
LOOKS_FOR_EACH_ASKING = 3.0
TAKEN_WITHIN_S = 10.0


def kill_while(
    doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool], cpu_s: float = MIDDLE_S
) -> Injection | None:
    """Kill the first of some processes whose title is `doing`, in the middle of it: see `caught_in_the_middle`."""
    caught = caught_in_the_middle(doing, pids, over, cpu_s)
    return _send(signal.SIGKILL, [caught.process], doing, str(caught)) if caught else None


@dataclasses.dataclass(frozen=True, slots=True)
class Caught:
    """A process that is at something, and has worked at it for `worked_s` of processor time."""

    process: psutil.Process
    worked_s: float

    def __str__(self) -> str:
        return f"{self.worked_s:.2f} s of work into it"


def caught_in_the_middle(
    doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool], cpu_s: float = MIDDLE_S
) -> Caught | None:
    """The first of some processes whose title is `doing`, once it has worked at it for `cpu_s` of processor time.

    So an injection that follows is in the middle: after the beginning, and (the title is read again at the last moment)
    before the end. None when it is `over` first, or when what it does was done sooner than that.
    """
    process = _find(doing, pids, over)
    if process is None:
        return None
    began = _cpu_s(process)
    while (worked := _cpu_s(process) - began) < cpu_s and _title(process) == doing:
        time.sleep(POLL_S)
    return Caught(process, worked) if _title(process) == doing else None


def kill(target: str, pids: Collection[int], detail: str = "") -> Injection | None:
    """SIGKILL to all the processes of one thing, the first being its main one; None when none of them is alive."""
    return _send(signal.SIGKILL, _alive(pids), target, detail)


def stop(target: str, pids: Collection[int], detail: str = "") -> Injection | None:
    """SIGSTOP to all the processes of one thing; None when none of them is alive. `resume` lets them go on."""
    return _send(signal.SIGSTOP, _alive(pids), target, detail)


def resume(pids: Collection[int]) -> None:
    """SIGCONT to those that are still there."""
    for process in _alive(pids):
        os.kill(process.pid, signal.SIGCONT)


def _send(number: signal.Signals, processes: Collection[psutil.Process], target: str, detail: str) -> Injection | None:
    """`took` is what the kernel says of each process afterwards."""
    at_s, at_monotonic = time.time(), time.monotonic()
    sent = [process for process in processes if _signalled(process, number)]
    if not sent:
        return None
    took = all(_seen(process, number) for process in sent)
    return Injection(number.name, target, at_s, at_monotonic, took, sent[0].pid, detail)


def _signalled(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def _seen(process: psutil.Process, number: signal.Signals) -> bool:
    """`Process` knows its start time, so another process with the same pid is not taken for this one."""
    at_rest = (None, psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED if number == signal.SIGSTOP else None)
    eventually(lambda: _state(process) in at_rest, TAKEN_WITHIN_S, look_s=POLL_S)
    gone = _state(process) in (None, psutil.STATUS_ZOMBIE)
    return gone if number == signal.SIGKILL else _state(process) == psutil.STATUS_STOPPED


def _state(process: psutil.Process) -> str | None:
    try:
        return process.status() if process.is_running() else None
    except psutil.NoSuchProcess:
        return None


def _alive(pids: Collection[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def _find(doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool]) -> psutil.Process | None:
    """Titles are read often, because the moment is short; who there is to look at is asked seldom."""
    while not over():
        asked = time.monotonic()
        known = _alive(pids())
        until = look_until(asked, time.monotonic())
        while time.monotonic() < until:
            if found := next((process for process in known if _title(process) == doing), None):
                return found
            time.sleep(POLL_S)
    return None


def look_until(asked_s: float, answered_s: float) -> float:
    """How long to look before asking again: mostly one looks, also where a busy machine takes long to answer."""
    return answered_s + max(ASK_S, LOOKS_FOR_EACH_ASKING * (answered_s - asked_s))


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def flip_byte(path: Path, target: str) -> Injection:
    """Invert the middle byte of a file in place, past its read-only mode; its size and times stay as they are.

    `took` when the file's SHA-256 differs afterwards.
    """
    before, state = sha256_of(path), path.stat()
    at_s, at_monotonic = time.time(), time.monotonic()
    path.chmod(state.st_mode | 0o200)
    with path.open("r+b") as file:
        file.seek(state.st_size // 2)
        byte = file.read(1)
        file.seek(state.st_size // 2)
        file.write(bytes([byte[0] ^ 0xFF]))
    path.chmod(state.st_mode)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return Injection(
        "flipped byte", target, at_s, at_monotonic, sha256_of(path) != before, None, f"byte {state.st_size // 2}"
    )


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
