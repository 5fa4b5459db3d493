"""The gateway's health: a prediction comes through it. Without a model in the slot that cannot be: it says so."""

import time
from collections.abc import Callable
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes.health import Health
from koboshi.probes.http_json import Refused, call, reading
from koboshi.probes.served import NO_MODEL, described, without_a_version

Example = Callable[[str, int], Any | None]
Promoted = Callable[[], bool]


def probe_gateway(url: str, example: Example, promoted: Promoted, limit_s: float = 10.0) -> Health:
    """Ask which version answers, then send a request that this version can answer.

    `example` gives the request for a model and version; where it has none, a replica behind the gateway is asked to
    predict its own. `promoted` tells, where no replica answers, whether one would have something to serve.
    """
    begun = time.monotonic()
    try:
        with reading(url):
            state = call(f"{url}/version", limit_s=limit_s)
            if state["version"] is None:
                return without_a_version(state)
            done = _predicted(url, example(state["model"], state["version"]), limit_s)
            return Health(True, f"{done} in {(time.monotonic() - begun) * 1000:.0f} ms, {described(state)}")
    except Refused as error:
        return _nobody_answers(error, promoted)
    except Unavailable as error:
        return _no_prediction(error)


def _predicted(url: str, request: Any | None, limit_s: float) -> str:
    if request is None:
        call(f"{url}/health", limit_s=limit_s)
        return "a replica's own example predicted through the gateway"
    if not call(f"{url}/invocations", request, limit_s=limit_s)["predictions"]:
        raise Unavailable("the answer has no predictions")
    return "a prediction through the gateway"


def _nobody_answers(refused: Refused, promoted: Promoted) -> Health:
    """The gateway is there and answers with an error: that is right as long as there is nothing to serve."""
    try:
        if promoted():
            return _no_prediction(refused)
    except Unavailable as error:
        return Health(False, f"no replica answers, and whether one should is not known: {error}"[:200])
    return Health(True, f"{NO_MODEL} (the gateway answers {refused.status})")


def _no_prediction(error: Exception) -> Health:
    return Health(False, f"no prediction came through: {error}"[:200])
