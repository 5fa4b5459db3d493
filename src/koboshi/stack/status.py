"""`koboshi status`: every part, the logins, and what each slot serves and refuses, from what the replicas say."""

import dataclasses
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import call
from koboshi.settings import Settings
from koboshi.stack import probe_records
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.part import Part
from koboshi.stack.part_state import (
    HEALTHY,
    PartState,
    Probe,
    check_once,
    elsewhere,
    newest_starts,
    observe,
    probe_name,
    probes,
    recorded,
    when_open,
)
from koboshi.stack.parts import external_groups, technologies
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.supervisor_control import process_infos

LIMIT_S = 1.0  # a replica that is alive answers in milliseconds
NEVER_ASKED = Health(False, "on its way", at=0.0)
SERVES = "replicas"  # the group whose parts follow a slot


@dataclasses.dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as its replicas see it: by version, which replicas serve it and why it is refused.

    `alias` is the version that the alias points at (None: it is not there, or not known).
    """

    slot: str
    alias: int | None
    alias_gone: bool
    served: Mapping[int, tuple[str, ...]]
    refused: Mapping[int, str]


def status(settings: Settings, by_hand: Settings, *, probe: bool = False) -> list[PartState]:
    """The state of every part by its last probe; also of those whose address was set by hand, which are asked now.

    With `probe` each is asked anew to do real work. A part that nobody has asked for long is asked in any case.
    """
    paths, external = find_paths(settings.project, settings.state_dir), external_groups(by_hand)
    infos = process_infos(paths)
    parts = known_parts(paths) if infos else {}
    asked = probes(settings, parts.values(), external, lightly=not probe)
    if probe:
        asked = recorded(paths.own, asked, parts.values())
    else:
        asked |= _last_answers(paths, parts.values())
    healths = check_once(asked)
    return [*observe(paths, parts, infos, healths), *elsewhere(by_hand, external, healths)]


def _last_answers(paths: StackPaths, parts: Collection[Part]) -> dict[str, Probe]:
    """The last answer in place of each probe, as long as it counts; only the ports are looked at."""
    records, now = probe_records.read(paths.own), time.time()
    found: dict[str, Probe] = {}
    for name, started_at in newest_starts(paths.own, parts).items():
        record = records.get(name)
        if not probe_records.is_stale(record, started_at, now):
            health = record.health() if record else NEVER_ASKED
            behind = [part for part in parts if probe_name(part) == name]
            found[name] = when_open(behind, partial(_as_it_was, health))
    return found


def _as_it_was(health: Health) -> Health:
    return health


def logins(settings: Settings) -> list[dict[str, str]]:
    """What a person opens in a browser, and with which name, password or token: first what asks for most."""
    found = [technology.login(settings) for technology in technologies().values()]
    shown = [{key: str(value) for key, value in login.items()} for login in found if login.get("url")]
    return sorted(shown, key=len, reverse=True)


def all_well(states: Sequence[PartState]) -> bool:
    """Whether something runs, and all of it does its work."""
    return bool(states) and all(state.state == HEALTHY for state in states)


def as_json(states: Sequence[PartState], served: Sequence[SlotState], opened: Sequence[dict[str, str]]) -> str:
    """The same as JSON values."""
    content: dict[str, Any] = {
        "parts": [dataclasses.asdict(state) for state in states],
        "slots": [dataclasses.asdict(slot) for slot in served],
        "logins": opened,
    }
    return json.dumps(content, indent=1)


def slots(settings: Settings, limit_s: float = LIMIT_S) -> list[SlotState]:
    """What is served and what is refused, per slot.

    Each replica is asked, or one through the gateway where the replicas are elsewhere; who is silent is left out.
    """
    paths = find_paths(settings.project, settings.state_dir)
    parts = known_parts(paths).values() if process_infos(paths) else ()
    addresses = [part.address for part in parts if part.group == SERVES]
    addresses = addresses or ([settings.gateway.url] if settings.gateway.url else [])
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        return seen_by([state for state in pool.map(partial(_ask, limit_s=limit_s), addresses) if state])


def seen_by(replicas: Iterable[Mapping[str, Any]]) -> list[SlotState]:
    """The slots that these replicas follow, from what each says of itself. Pure."""
    by_slot: dict[str, list[Mapping[str, Any]]] = {}
    for replica in replicas:
        by_slot.setdefault(str(replica["slot"]), []).append(replica)
    return [_slot(name, by_slot[name]) for name in sorted(by_slot)]


def sentence(state: SlotState) -> str:
    """One line for a person."""
    alias = "gone" if state.alias_gone else "not set" if state.alias is None else f"at version {state.alias}"
    served = [f"version {version} answers ({', '.join(names)})" for version, names in state.served.items()]
    refused = [f"version {version} is refused: {reason.rstrip('.')}" for version, reason in state.refused.items()]
    return "; ".join([f"slot {state.slot}: the alias is {alias}", *(served or ["no version answers"]), *refused])


def _slot(name: str, replicas: list[Mapping[str, Any]]) -> SlotState:
    served: dict[int, tuple[str, ...]] = {}
    refused: dict[int, str] = {}
    for replica in replicas:
        if (version := replica.get("version")) is not None:
            served[version] = (*served.get(version, ()), str(replica.get("replica", "a replica")))
        if told := replica.get("refused"):
            refused[told["version"]] = str(told["reason"])
    aliases = [replica.get("alias") for replica in replicas if replica.get("alias") is not None]
    gone = any(replica.get("alias_gone") for replica in replicas)
    return SlotState(name, aliases[-1] if aliases else None, gone and not aliases, served, refused)


def _ask(url: str, limit_s: float) -> Mapping[str, Any] | None:
    try:
        state = call(f"{url}/version", limit_s=limit_s)
    except Unavailable:
        return None  # its line in the table says why
    return state if isinstance(state, dict) and "slot" in state else None
