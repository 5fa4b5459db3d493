"""A dataclass made of what JSON gives, each field of the type that it declares."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_origin, get_type_hints

from koboshi.errors import BadInput

T = TypeVar("T")
_WORDS: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", Mapping: "an object"}


def made_of(kind: type[T], fields: Any, what: str) -> T:
    """`kind(**fields)`; raises `BadInput` for a field that is missing, unknown or of another type than declared."""
    if not isinstance(fields, dict):
        raise BadInput(f"{what} is {_shown(fields)}, and an object with the fields of {kind.__name__} is wanted.")
    declared = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    needed = {name for name, field in declared.items() if field.default is dataclasses.MISSING}
    if missing := sorted(needed - set(fields)):
        raise BadInput(f"{what} has no {', '.join(missing)}: a {kind.__name__} needs it.")
    if unknown := sorted(set(fields) - set(declared)):
        raise BadInput(f"{what} has {', '.join(unknown)}, which a {kind.__name__} does not know: remove it.")
    for name, hint in get_type_hints(kind).items():
        wanted = get_origin(hint) or hint
        if name in fields and not _fits(fields[name], wanted):
            word = _WORDS.get(wanted, wanted.__name__)
            raise BadInput(f"{name} of {what} is {_shown(fields[name])}, and {word} is wanted.")
    return kind(**fields)


def _fits(value: Any, wanted: type) -> bool:
    """JSON has one kind of number, and true is none."""
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
