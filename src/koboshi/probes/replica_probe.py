"""A replica's health: ready only when it predicts its model's example right; without a model it says so."""

from koboshi.errors import Unavailable
from koboshi.probes.health import Health
from koboshi.probes.http_json import call, reading
from koboshi.probes.served import described, without_a_version


def probe_replica(url: str, limit_s: float = 5.0) -> Health:
    """Ask for readiness, which makes a real prediction, and when that is refused, for the reason."""
    try:
        with reading(url):
            return Health(True, described(call(f"{url}/health", limit_s=limit_s)))
    except Unavailable as error:
        refused = error
    try:
        with reading(url):
            state = call(f"{url}/version", limit_s=limit_s)
            return Health(False, str(refused)[:200]) if state["version"] is not None else without_a_version(state)
    except Unavailable as error:
        return Health(False, str(error)[:200])
