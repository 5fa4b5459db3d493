"""The state of every part, by real work: its probe, what a person is told of it, and waiting until all are healthy."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.settings import Settings, load_what_fits
from koboshi.stack import probe_records
from koboshi.stack.launch import accepts
from koboshi.stack.part import Part, Start, StartHistory
from koboshi.stack.parts import technologies
from koboshi.stack.parts.prober import NAME as PROBER
from koboshi.stack.paths import StackPaths
from koboshi.stack.probe_records import SETTLED_S
from koboshi.stack.process_table import Process, ours, read_processes
from koboshi.stack.supervisor_control import process_infos

HEALTHY, UNHEALTHY, STARTING, STOPPED, GAVE_UP = "healthy", "unhealthy", "starting", "stopped", "given up"
ELSEWHERE = "elsewhere"
Probe = Callable[[], Health]
PAUSE_S = 0.7


@dataclasses.dataclass(frozen=True, slots=True)
class PartState:
    """One line of `koboshi status`; in `memory_mb` shared pages count by their share.

    In seconds since 1970: `since`, the start of its process, and `probed_at`, when it was asked for what `detail` says.
    """

    name: str
    state: str
    detail: str
    address: str
    pids: tuple[int, ...] = ()
    restarts: int = 0
    memory_mb: int = 0
    since: float | None = None
    probed_at: float | None = None


def decide_state(statename: str | None, note: str, health: Health | None, *, starting: bool) -> tuple[str, str]:
    """State and reason, from what the supervisor, the launcher and the probe say. Pure.

    While the stack is `starting`, a part that does not answer yet is on its way, not ill.
    """
    if note:
        return GAVE_UP, note
    if statename is None or statename in {"STOPPED", "EXITED", "FATAL"}:
        return STOPPED, "not running: `koboshi up` starts it"
    if health is None:
        return STARTING, "on its way"
    ill = STARTING if starting else UNHEALTHY
    return (HEALTHY if health.ok else ill), health.detail


def observe(
    paths: StackPaths,
    parts: Mapping[str, Part],
    infos: Mapping[str, Mapping[str, Any]],
    healths: Mapping[str, Health],
    *,
    starting: bool = False,
) -> list[PartState]:
    """The state of each part, in the order of the table."""
    processes = {} if starting else read_processes()
    return [
        _observe(part, StartHistory.of(paths.own, part.name), infos, healths, processes, starting)
        for part in parts.values()
    ]


def _observe(
    part: Part,
    record: StartHistory,
    infos: Mapping[str, Mapping[str, Any]],
    healths: Mapping[str, Health],
    processes: Mapping[int, Process],
    starting: bool,
) -> PartState:
    starts, statename = record.starts(), infos.get(part.name, {}).get("statename")
    started_at = starts[-1].at if starts else 0.0
    health = counting(healths.get(probe_name(part)), started_at)
    starting = starting or time.time() - started_at < SETTLED_S
    state, detail = decide_state(statename, record.note(), health, starting=starting)
    pids = pids_of(starts[-1:], processes)
    return PartState(
        part.name,
        state,
        detail,
        part.address,
        pids,
        restarts=max(0, len(starts) - 1),
        memory_mb=sum(map(pss_bytes, pids)) // 1024**2,
        since=starts[-1].at if starts and pids else None,
        probed_at=health.at if health else None,
    )


def counting(health: Health | None, started_at: float) -> Health | None:
    """An answer, unless it is of before the part's start: then another process gave it. Pure."""
    return None if health and health.at is not None and health.at < started_at else health


def elsewhere(
    settings: Settings, external: Iterable[str], healths: Mapping[str, Health], *, starting: bool = False
) -> list[PartState]:
    """The state of groups whose address was set by hand. Replicas behind somebody else's gateway are not known."""
    found = []
    for name in sorted(name for name in external if technologies()[name].probe):
        state, detail = decide_state("RUNNING", "", healths.get(name), starting=starting)
        found.append(PartState(name, state, f"{ELSEWHERE}: {detail}", str(technologies()[name].address(settings))))
    return found


def pids_of(starts: Iterable[Start], processes: Mapping[int, Process]) -> tuple[int, ...]:
    """The living processes of a start, its own first."""
    recorded = [(start.pid, start.ticks) for start in starts]
    found = ours(processes, recorded, tag="", apart=frozenset()) if processes else set()
    leaders = [pid for pid, _ in recorded if pid in found]
    return (*leaders, *sorted(found.difference(leaders)))


def pss_bytes(pid: int) -> int:
    """A process's memory, shared pages counted by their share; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0


def probe_name(part: Part) -> str:
    """The programs of a group are asked together, unless each answers for itself, as the replicas do."""
    return part.group if technologies()[part.group].probe else part.name


def newest_starts(own: Path, parts: Iterable[Part]) -> dict[str, float]:
    """When the programs behind each probe were started last; those that never were are left out.

    The prober, which answers for itself, is left out, too.
    """
    found: dict[str, float] = {}
    for part in parts:
        if part.name != PROBER and (starts := StartHistory.of(own, part.name).starts()):
            found[probe_name(part)] = max(found.get(probe_name(part), 0.0), starts[-1].at)
    return found


def probes(
    settings: Settings, parts: Iterable[Part], external: frozenset[str], *, lightly: bool = False
) -> dict[str, Probe]:
    """One probe for each started group, or part of it, and for each group that runs elsewhere and can be asked.

    Before it does work, it looks whether all its ports accept: work is not worth its cost before. `lightly` takes the
    cheaper question where there is one.
    """
    found: dict[str, Probe] = {}
    started = list(parts)
    for technology in technologies().values():
        own = tuple(part for part in started if part.group == technology.group)
        if technology.probe is None:
            found |= {part.name: when_open((part,), part_probe(settings, part)) for part in own}
        elif own or technology.group in external:
            here = () if technology.group in external else own
            asked = technology.look if lightly and technology.look else technology.probe
            found[technology.group] = when_open(own, partial(asked, settings, here))
    return found


def part_probe(settings: Settings, part: Part) -> Probe:
    """The probe of one part for itself, for who watches over nothing else: a container's health check."""
    technology = technologies()[part.group]
    if technology.probe_of is not None:
        return partial(technology.probe_of, settings, part)
    if technology.probe is not None:
        return partial(technology.probe, settings, (part,))
    raise LookupError(f"{part.group} is described without a probe")


def when_open(parts: Iterable[Part], probe: Probe) -> Probe:
    """The probe, which is not asked while a port of these parts does not accept."""
    ports = [port for part in parts for port in part.ports]

    def probed() -> Health:
        closed = next((port for port in ports if not accepts(port)), None)
        return probe() if closed is None else Health(False, f"port {closed} is not open yet")

    return probed


def recorded(own: Path, probes: Mapping[str, Probe], parts: Iterable[Part]) -> dict[str, Probe]:
    """The probes, of which those of this stack's own parts leave their answers for `koboshi status`."""
    ours = {probe_name(part) for part in parts if part.name != PROBER}
    return {name: partial(_recorded, own, name, probe) if name in ours else probe for name, probe in probes.items()}


def _recorded(own: Path, name: str, probe: Probe) -> Health:
    record = probe_records.answer(probe)
    probe_records.write(own, {name: record})
    return Health(record.ok, record.detail)


def check_once(probes: Mapping[str, Probe]) -> dict[str, Health]:
    """Every probe's answer, asked once and all at once."""
    with ThreadPoolExecutor(max(1, len(probes))) as pool:
        return dict(zip(probes, pool.map(lambda probe: probe(), probes.values()), strict=True))


LIMIT_S = 300.0
STEP_S = 0.5


def wait_until_healthy(
    paths: StackPaths,
    parts: Mapping[str, Part],
    external: frozenset[str],
    show: Callable[[Sequence[PartState]], None],
    limit_s: float = LIMIT_S,
) -> None:
    """Return when every part, and every group that runs elsewhere, has done real work.

    Raises `Unavailable`, naming parts and reasons, at the limit or as soon as a part has been given up.
    """
    settings = load_what_fits(lambda _sentence: None, lambda _project: paths.state_dir, project=paths.project)
    deadline, healths, is_over = time.monotonic() + limit_s, dict[str, Health](), threading.Event()
    asked = recorded(paths.own, probes(settings, parts.values(), external), parts.values())
    pool = ThreadPoolExecutor(max(1, len(asked)), thread_name_prefix="probe")
    try:
        asking = [pool.submit(_ask_until_well, healths, name, probe, is_over) for name, probe in asked.items()]
        while True:
            well, others = futures.wait(asking, STEP_S, futures.FIRST_EXCEPTION)
            for one in well:
                one.result()  # raises what a probe did not foresee
            states = [
                *observe(paths, parts, process_infos(paths), healths, starting=True),
                *elsewhere(settings, external, healths, starting=True),
            ]
            show(states)
            if not others:
                return
            lost = [state for state in states if state.state == GAVE_UP]
            if lost or time.monotonic() > deadline:
                reasons = [f"{one.name} {one.detail}" for one in lost or states if one.state != HEALTHY]
                raise Unavailable(
                    f"not healthy: {'; '.join(reasons)}. The rest goes on running; `koboshi status` shows it."
                )
    finally:
        is_over.set()
        pool.shutdown(wait=False, cancel_futures=True)  # a probe under way ends by its own limit


def _ask_until_well(healths: dict[str, Health], name: str, probe: Probe, is_over: threading.Event) -> None:
    """Ask again and again, with a pause between, and keep the latest answer in `healths`."""
    while not is_over.is_set():
        healths[name] = probe()
        if healths[name].ok:
            return
        is_over.wait(PAUSE_S)
