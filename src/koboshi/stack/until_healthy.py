"""Waiting for the parts to do real work."""

import time
from collections.abc import Callable, Mapping, Sequence

from koboshi.errors import Unavailable
from koboshi.settings import load_what_fits
from koboshi.stack.health import Checks, probes, waiting_ports
from koboshi.stack.part import Part
from koboshi.stack.part_state import GAVE_UP, HEALTHY, PartState, elsewhere, observe
from koboshi.stack.places import Places
from koboshi.stack.supervisor_control import process_infos

LIMIT_S = 300.0
STEP_S = 0.5


def wait_until_healthy(
    places: Places,
    parts: Mapping[str, Part],
    external: frozenset[str],
    show: Callable[[Sequence[PartState]], None],
    limit_s: float = LIMIT_S,
) -> None:
    """Return when every part, and every group that runs elsewhere, has done real work.

    Raises `Unavailable`, naming parts and reasons, at the limit or as soon as a part has been given up.
    """
    settings = load_what_fits(lambda _sentence: None, lambda _project: places.state_dir, project=places.project)
    checks = Checks(probes(settings, parts.values(), external), waiting_ports(parts.values()))
    deadline = time.monotonic() + limit_s
    try:
        while True:
            checks.step()
            states = [
                *observe(places, parts, process_infos(places), checks.healths, starting=True),
                *elsewhere(settings, external, checks.healths, starting=True),
            ]
            show(states)
            if checks.all_well():
                return
            lost = [state for state in states if state.state == GAVE_UP]
            if lost or time.monotonic() > deadline:
                raise Unavailable(_sentence(lost or [state for state in states if state.state != HEALTHY]))
            time.sleep(STEP_S)
    finally:
        checks.close()


def _sentence(states: Sequence[PartState]) -> str:
    reasons = "; ".join(f"{state.name} {state.detail}" for state in states)
    return f"not healthy: {reasons}. The rest goes on running; `koboshi status` shows it."
