"""What does not fit in a document of fields (settings, parameters), in plain words. Pure: from pydantic's findings."""

import dataclasses
import difflib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

MOST_FAULTS = 5  # in one message; the others are counted
LONGEST_SHOWN = 60
MOST_LISTED = 16
TRUTH = "truth_for_number"

Location = tuple[int | str, ...]

_WANTED: Mapping[str, str] = {
    "string": "a text",
    "path": "a text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "truth": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table of names and values",
    "mapping": "a table of names and values",
    "model": "a table of names and values",
}
_BOUNDS: Mapping[str, str] = {
    "greater_than_equal": "a number of at least {ge}",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a number of at most {le}",
    "less_than": "a number below {lt}",
}


class Fields(BaseModel):
    """A block of fields in which true and false do not stand for the numbers 1 and 0, and no text holds NUL."""

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_only_looks_right(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("nul", "Input should be a text without NUL")
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise PydanticCustomError(TRUTH, "Input should be a number")
        return value


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where values came from: a file, or the environment with the `variables` that gave them, by dotted name."""

    name: str
    values: Mapping[str, Any]
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def key(self, location: Location) -> str:
        """How a person finds the value: its dotted name, or the variable (`KOBOSHI_INGEST__TOPICS`) that holds it."""
        names = [".".join(map(str, location[:end])) for end in range(len(location), 0, -1)]
        return next((self.variables[name] for name in names if name in self.variables), names[0])

    def assignment(self, location: Location, value: Any) -> str:
        """How a value would be written here."""
        text = json.dumps(value, ensure_ascii=False)
        if self.variables:
            return f"{self.key(location)}={shlex.quote(text)}"
        return f"{location[-1]}{': ' if self.name.endswith('.yaml') else ' = '}{text}"


def faults(
    model: type[BaseModel],
    errors: Iterable[ErrorDetails],
    sources: Sequence[Source],
    block: Location = (),
    what: str = "setting",
) -> list[str]:
    """A sentence, without its point, for each of pydantic's findings about `model`.

    `sources` come in the order of precedence; what no source holds is said of the last one. `block` is where the model
    stands in them.
    """
    return [_sentence(model, error, sources, block, what) for error in errors]


def in_one_sentence(found: Sequence[str]) -> str:
    """The first few in one message, and how many more there are."""
    more = len(found) - MOST_FAULTS
    said = "; ".join(found[:MOST_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    return said if said.endswith("?") else f"{said}."


def unknown(key: str, place: str, known: Iterable[str], what: str = "setting", asked: str | None = None) -> str:
    """The sentence for a name that nothing reads, with the name that it looks like, or else those that there are.

    `asked` is the part of the name that is compared with those that are known.
    """
    names = list(known)
    near = difflib.get_close_matches(key if asked is None else asked, names, 1)
    others = f": there are {', '.join(names)}" if 0 < len(names) <= MOST_LISTED else ""
    hint = f", did you mean {near[0]}?" if near else others
    return f"unknown {what} {key} in {place}{hint}"


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that is not itself a block, by its dotted name, with its type."""
    for name, annotation in _fields(model).items():
        if _is_block(annotation):
            yield from leaves(annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", annotation


def shown(value: Any) -> str:
    """A value in words: `the text "x"`, `5`, `true`, `a list`."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
        return f"the text {json.dumps(text, ensure_ascii=not text.isprintable())}"
    if isinstance(value, int) and value.bit_length() > 8 * LONGEST_SHOWN:  # Python refuses to write it down
        return "a number of hundreds of digits"
    if value is None or isinstance(value, (bool, int, float)):
        return "empty" if value is None else json.dumps(value)
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else f"the time {value}"


def _sentence(
    model: type[BaseModel], error: ErrorDetails, sources: Sequence[Source], block: Location, what: str
) -> str:
    kind, location = error["type"], (*block, *error["loc"])
    source = next((source for source in sources if _value(source.values, location)), sources[-1])
    key = source.key(location)
    if kind == "extra_forbidden":
        return unknown(key, source.name, _siblings(model, error["loc"]), what, str(location[-1]))
    if kind == "missing":
        return f"{key} is missing in {source.name}: add it"
    said = f"{key} in {source.name} is {shown(next(iter(_value(source.values, location)), None))}"
    if (wanted := _wanted(error)) is None:
        return f"{said}: {error['msg'].removeprefix('Value error, ')}"
    is_lone = kind in ("tuple_type", "list_type") and isinstance(error["input"], str)  # where a list belongs
    hint = source.assignment(location, [error["input"]]) if is_lone else ""
    return f"{said}; {wanted} is wanted" + (f": {hint}" if hint else "")


def _wanted(error: ErrorDetails) -> str | None:
    kind, message = error["type"], error["msg"]
    if bound := _BOUNDS.get(kind):
        return bound.format(**error["ctx"])
    if known := _WANTED.get(kind.partition("_")[0]):
        return known
    return message.removeprefix("Input should be ") if message.startswith("Input should be ") else None


def _siblings(model: type[BaseModel], location: Location) -> list[str]:
    """The names that could stand where an unknown one does."""
    here: Any = model
    for name in location[:-1]:
        here = _fields(here).get(str(name)) if _is_block(here) else None
    return list(_fields(here)) if _is_block(here) else []


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """The names as they are written, with their types."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _is_block(found: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _value(values: Any, location: Location) -> list[Any]:
    """The value at a location, or nothing."""
    for name in location:
        try:
            values = values[name]
        except (LookupError, TypeError):
            return []
    return [values]
