"""Documents that somebody else has written, in JSON, YAML and TOML: whatever is wrong with one, one kind of error."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from koboshi.errors import BadInput


def load_json(text: str | bytes) -> Any:
    """The value of a JSON document. Raises `ValueError` for what is none, and for what is nested too deeply to read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def load_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an absent or empty file has none.

    Raises `BadInput`, which names the file, for what cannot be read, is no YAML, or is no mapping.
    """
    try:
        text = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({' '.join(str(error).split())}): mend it or take it from git again."
        ) from error
    return mapping_in(text, str(path))


def mapping_in(text: str | bytes, where: str) -> dict[str, Any]:
    """The mapping in the text of a YAML document; see `load_mapping`. `where` names the document in an error."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except RecursionError:
        raise BadInput(
            f"{where} cannot be read (it is nested too deeply): mend it or take it from git again."
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is in no calendar is a ValueError
        raise BadInput(
            f"{where} cannot be read ({' '.join(str(error).split())}): mend it or take it from git again."
        ) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadInput(f"{where} holds no table of names and values: mend it or take it from git again.")
    return found


def readable_toml(text: str) -> dict[str, Any]:
    """The values of the sections that are whole, and of the single lines of the others that are. Pure, never raises."""
    found: dict[str, Any] = {}
    for header, lines in _toml_sections(text):
        whole = _parsed_toml("\n".join((header, *lines)))
        for part in [whole] if whole is not None else [_parsed_toml(f"{header}\n{line}") for line in lines]:
            found = merged(found, part or {})
    return found


def merged(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    """Both documents in one; where both have a value, that of `higher` counts. A section is merged name by name.

    Neither document nor a section of one is part of the new one: that may be changed.
    """
    found = {name: dict(value) if isinstance(value, Mapping) else value for name, value in lower.items()}
    for name, value in higher.items():
        below = found.get(name)
        if isinstance(value, Mapping):
            value = {**(below if isinstance(below, Mapping) else {}), **value}
        found[name] = value
    return found


def _toml_sections(text: str) -> Iterator[tuple[str, list[str]]]:
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


def _parsed_toml(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
