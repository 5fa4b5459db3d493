"""What a replica says of itself (`/version`), in words, and whether that is well. Pure.

Health is of what is served: a version that is refused, or an alias that is gone, is said, and makes nobody ill as long
as another version answers.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import Refused, call, reading

NO_MODEL = "no model yet"


def described(state: Mapping[str, Any]) -> str:
    """The version that answers, the one that is refused, and an alias that is gone, in one phrase."""
    words = [f"serves version {state['version']}"]
    if refused := state.get("refused"):
        words.append(f"refuses version {refused['version']}")
    if state.get("alias_gone"):
        words.append(f"the alias {state.get('slot')} is gone")
    return ", ".join(words)


def without_a_version(state: Mapping[str, Any]) -> Health:
    """How a replica is of which no version answers: well only while there is nothing that it could serve."""
    if refused := state.get("refused"):
        return Health(False, f"nothing is served: version {refused['version']} is refused: {refused['reason']}"[:200])
    if state.get("registry") != "reachable":
        return Health(False, f"nothing is served: {state.get('registry')}"[:200])
    return Health(True, NO_MODEL)


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
