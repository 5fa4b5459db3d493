"""What a replica says of itself (`/version`), in words, and whether that is well. Pure.

Health is of what is served: a version that is refused, or an alias that is gone, is said, and makes nobody ill as long
as another version answers.
"""

from collections.abc import Mapping
from typing import Any

from koboshi.probes.health import Health

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
