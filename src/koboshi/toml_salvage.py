"""What can still be read of a TOML document that is broken somewhere: its sections by themselves, then line by line."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any


def readable(text: str) -> dict[str, Any]:
    """The values of the sections that are whole, and of the single lines of the others that are. Pure, never raises."""
    found: dict[str, Any] = {}
    for header, lines in _sections(text):
        whole = _parsed("\n".join((header, *lines)))
        for part in [whole] if whole is not None else [_parsed(f"{header}\n{line}") for line in lines]:
            found = merged(found, part or {})
    return found


def merged(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    """Both documents in one; where both have a value, that of `higher` counts. A section is merged name by name."""
    found = dict(lower)
    for name, value in higher.items():
        below = found.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = {**below, **value}
        found[name] = value
    return found


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each header with the lines below it; the lines before the first have none.

    TOML's lines end with a line feed alone: what else `str.splitlines` ends a line with may stand in a text.
    """
    header, lines = "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.lstrip().startswith("["):
            yield header, lines
            header, lines = line, []
        else:
            lines.append(line)
    yield header, lines


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
