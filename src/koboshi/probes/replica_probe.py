"""A replica's health: ready only when it predicts its model's example right; without a model it says so."""

from koboshi.errors import Unavailable
from koboshi.probes.gateway_probe import NO_MODEL
from koboshi.probes.health import Health
from koboshi.probes.http_json import call


def probe_replica(url: str, limit_s: float = 5.0) -> Health:
    """Ask for readiness, which makes a real prediction, and when that is refused, for the reason."""
    try:
        ready = call(f"{url}/health", limit_s=limit_s)
        return Health(True, f"serves version {ready['version']}")
    except (Unavailable, KeyError) as error:
        refused = error
    try:
        state = call(f"{url}/version", limit_s=limit_s)
    except Unavailable as error:
        return Health(False, str(error)[:200])
    if state["version"] is None and state["refused"] is None and state["registry"] == "reachable":
        return Health(True, NO_MODEL)
    return Health(False, str(refused)[:200])
