"""The environment variables that begin with KOBOSHI_ : those that are settings, and the names of those that are not."""

import functools
import json
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from koboshi.exits import EXIT_FILE_VARIABLE
from koboshi.wrong_fields import Source, leaves, unknown

PREFIX, BETWEEN = "KOBOSHI_", "__"
PLACE = "the environment"

# Which project is meant: read by `koboshi.settings.find_project`.
PROJECT = "KOBOSHI_PROJECT"
STATE_DIR = "KOBOSHI_STATE_DIR"

# Compose's own, for docker-compose.yml: see `koboshi.stack.compose_file`; what else is Compose's, the parts name.
IMAGE = "KOBOSHI_IMAGE"
BASE = "KOBOSHI_BASE"

NOT_SETTINGS = frozenset({PROJECT, EXIT_FILE_VARIABLE, IMAGE, BASE})
# Kubernetes puts these into every container for a service that is called koboshi or koboshi-…
_OF_KUBERNETES = re.compile(
    r"KOBOSHI_([A-Z0-9]+_)*?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def read_environment(
    environment: Mapping[str, str], model: type[BaseModel], others: Iterable[str] = ()
) -> tuple[Source, list[str]]:
    """The settings among the variables, in the shape of koboshi.toml, and a sentence for each that nothing reads.

    `others` are no settings, beside `NOT_SETTINGS`. `KOBOSHI_KAFKA__BOOTSTRAP_SERVERS=…` is [kafka] bootstrap_servers.
    A list, a table or a whole section is JSON.
    """
    types = _types(model)
    sections = {name.partition(".")[0] for name in types if "." in name}
    values: dict[str, Any] = {}
    variables: dict[str, str] = {}
    faults = []
    known = NOT_SETTINGS.union(others)
    given = [pair for pair in environment.items() if pair[0].upper().startswith(PREFIX) and not _is_other(*pair, known)]
    for variable, text in sorted(given, key=lambda pair: pair[0].count(BETWEEN)):
        path = variable[len(PREFIX) :].lower().split(BETWEEN)
        name = ".".join(path)
        if name not in types and name not in sections and not _is_entry(path, types):
            faults.append(unknown(variable, PLACE, map(variable_of, types), asked=variable.upper()))
            continue
        variables[name] = variable
        _put(values, path, text if _is_plain(types.get(name), path) else _parsed(text))
    return Source(PLACE, values, variables), faults


@functools.cache
def _types(model: type[BaseModel]) -> Mapping[str, Any]:
    return dict(leaves(model))


def variable_of(name: str) -> str:
    """The variable of a setting: `KOBOSHI_INGEST__TOPICS` of `ingest.topics`."""
    return PREFIX + name.upper().replace(".", BETWEEN)


def _is_other(variable: str, text: str, others: frozenset[str]) -> bool:
    name = variable.upper()
    of_kubernetes = _OF_KUBERNETES.fullmatch(name) and (not name.endswith("_PORT") or "://" in text)
    return name in others or bool(of_kubernetes)


def _is_entry(path: list[str], types: Mapping[str, Any]) -> bool:
    """Whether it is an entry of a table whose names are free: KOBOSHI_COMMANDS__STREAM."""
    return len(path) == 2 and typing.get_origin(types.get(path[0])) is dict and path[1] != ""


def _is_plain(kind: Any, path: Iterable[str]) -> bool:
    """Whether a setting's text is its value, and no JSON."""
    return typing.get_origin(kind) not in (tuple, list, dict) and (kind is not None or len(list(path)) > 1)


def _parsed(text: str) -> Any:
    """JSON; what is none is left as it is, for the setting's type to refuse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Put one value in its place, over what a whole section had there."""
    for name in path[:-1]:
        inner = values.get(name)
        values[name] = inner if isinstance(inner, dict) else {}
        values = values[name]
    values[path[-1]] = value
