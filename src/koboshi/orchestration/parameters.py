"""Which numbers of params.yaml a run changes. Pure: names are dotted (`train.forest.trees`), values are JSON's."""

import copy
import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from koboshi.errors import BadInput


def numbers(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of params.yaml that is not itself a block, under its dotted name, in the file's order."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def changes(committed: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted values that differ from the committed ones; None means "as committed".

    Raises `BadInput` for a name that is not there, or a value of another kind than the committed one.
    """
    known = dict(numbers(committed))
    given = {name: value for name, value in wanted.items() if value is not None}
    if unknown := sorted(set(given) - set(known)):
        raise BadInput(f"params.yaml has no {', '.join(unknown)}: it has {', '.join(known)}.")
    fitting = {name: _of_kind(name, known[name], value) for name, value in given.items()}
    return {name: value for name, value in fitting.items() if value != known[name]}


def changed(committed: Mapping[str, Any], differing: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the committed parameters with some values changed."""
    params = copy.deepcopy(dict(committed))
    for name, value in differing.items():
        *blocks, last = name.split(".")
        block = params
        for step in blocks:
            block = block[step]
        block[last] = value
    return params


def digest(differing: Mapping[str, Any]) -> str:
    """The name of an experiment: the same changes have the same one, in whatever order they were given."""
    return hashlib.sha256(json.dumps(dict(differing), sort_keys=True, default=str).encode()).hexdigest()[:16]


def _of_kind(name: str, committed: Any, value: Any) -> Any:
    if committed is None or type(value) is type(committed):
        return value
    if isinstance(committed, float) and type(value) is int:
        return float(value)
    if isinstance(committed, datetime.date) and isinstance(value, str):
        return _date(name, committed, value)
    raise BadInput(f"{name} is {committed!r} in params.yaml and cannot be {value!r}: give a {_kind(committed)}.")


def _date(name: str, committed: datetime.date, value: str) -> datetime.date:
    try:
        return type(committed).fromisoformat(value)
    except ValueError as error:
        raise BadInput(f"{name} is {committed} in params.yaml and cannot be {value!r}: write it alike.") from error


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list"}
    return names.get(type(value), type(value).__name__)
