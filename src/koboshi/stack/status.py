"""`koboshi status`: every part, the logins, and whether all is well."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from koboshi.settings import Settings
from koboshi.stack import slots as stack_slots
from koboshi.stack.health import check_once, probes, waiting_ports
from koboshi.stack.operate import known_parts
from koboshi.stack.part_state import HEALTHY, PartState, elsewhere, observe
from koboshi.stack.parts import technologies
from koboshi.stack.parts_table import external_groups
from koboshi.stack.places import find_places
from koboshi.stack.slots import SlotState
from koboshi.stack.supervisor_control import process_infos


def status(settings: Settings, by_hand: Settings) -> list[PartState]:
    """The state of every part, each asked to do real work; also of those whose address was set by hand."""
    places, external = find_places(settings.project, settings.state_dir), external_groups(by_hand)
    infos = process_infos(places)
    parts = known_parts(places) if infos else {}
    asked = probes(settings, parts.values(), external)
    healths = check_once(asked, waiting_ports(parts.values()))
    return [*observe(places, parts, infos, healths), *elsewhere(by_hand, external, healths)]


def slots(settings: Settings) -> list[SlotState]:
    """What is served and what is refused, per slot."""
    places = find_places(settings.project, settings.state_dir)
    return stack_slots.slots(settings, known_parts(places).values() if process_infos(places) else ())


def logins(settings: Settings) -> list[dict[str, str]]:
    """What a person opens in a browser, and with which name, password or token: first what asks for most."""
    found = [login for technology in technologies().values() if (login := technology.login(settings))]
    return sorted(found, key=len, reverse=True)


def all_well(states: Sequence[PartState]) -> bool:
    """Whether something runs, and all of it does its work."""
    return bool(states) and all(state.state == HEALTHY for state in states)


def as_json(states: Sequence[PartState], served: Sequence[SlotState], opened: Sequence[dict[str, str]]) -> str:
    """For programs."""
    content: dict[str, Any] = {
        "parts": [dataclasses.asdict(state) for state in states],
        "slots": [dataclasses.asdict(slot) for slot in served],
        "logins": opened,
    }
    return json.dumps(content, indent=1)
