"""MLflow's scoring protocol, read strictly: a request body becomes columns in the order of the model's signature.

    {"dataframe_split":   {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}
    {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    {"inputs":            {"a": [1, 3], "b": [2, 4]}}         or a list of records
    {"instances":         [{"a": 1, "b": 2}, …]}              or columns

Exactly one of the four keys. Other keys beside them and columns that the model does not know are ignored, as MLflow
does it. Stricter than MLflow's own server: text is not read as a number, a record that lacks a column is refused where
MLflow takes it for a missing value, and rows need their columns' names.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

REPLICA_HEADER = "x-koboshi-replica"
VERSION_HEADER = "x-koboshi-model-version"
DIGEST_HEADER = "x-koboshi-model-digest"
FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
WHOLE = {"integer": 31, "long": 63}  # with their bits, beside the one of the sign
REAL = frozenset({"float", "double"})
TYPES = {*WHOLE, *REAL, "boolean", "string"}

Columns = dict[str, list[Any]]


class BadRequest(Exception):
    """A request that cannot be scored; the message says what to change."""


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of the model's signature; `type` is one of `TYPES`."""

    name: str
    type: str
    required: bool = True


def supports(content_type: str | None) -> bool:
    """Whether a Content-Type is JSON in UTF-8."""
    kind, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    return kind == "application/json" and all(parameter in {"", "charset=utf-8"} for parameter in parameters)


def parse(body: bytes, signature: Sequence[Column]) -> Columns:
    """The columns of a request, complete, of one length, each value fit for its column; raises `BadRequest`."""
    name, content = _the_format(_decoded(body))
    given = _split(content) if name == "dataframe_split" else _records_or_columns(name, content, signature)
    rows = max(map(len, given.values()), default=0)
    expected = [column for column in signature if column.required or column.name in given]
    columns = {column.name: _column(column, given, rows) for column in expected}
    if rows == 0:
        raise BadRequest(f"{name} has no rows.")
    return columns


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON in UTF-8: {error}.") from error
    if not isinstance(decoded, dict):
        raise BadRequest(f"the body must be a JSON object with exactly one of {', '.join(FORMATS)}.")
    return decoded


def _the_format(decoded: Mapping[str, Any]) -> tuple[str, Any]:
    found = [name for name in FORMATS if name in decoded]
    if len(found) != 1:
        raise BadRequest(f"exactly one of {', '.join(FORMATS)} is needed, found {', '.join(found) or 'none of them'}.")
    return found[0], decoded[found[0]]


def _split(content: Any) -> Columns:
    if not isinstance(content, dict) or not {"columns", "data"} <= content.keys() <= {"columns", "data", "index"}:
        raise BadRequest("dataframe_split needs columns and data (index is optional), and nothing else.")
    names, rows = content["columns"], content["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise BadRequest("dataframe_split: columns must be a list of different names.")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise BadRequest(f"dataframe_split: data must be a list of rows with {len(names)} values each.")
    if "index" in content and (not isinstance(content["index"], list) or len(content["index"]) != len(rows)):
        raise BadRequest(f"dataframe_split: index must be a list of {len(rows)} entries.")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _records_or_columns(name: str, content: Any, signature: Sequence[Column]) -> Columns:
    if isinstance(content, list) and all(isinstance(record, dict) for record in content):
        return _records(name, content, signature)
    if isinstance(content, dict) and name != "dataframe_records":
        return {key: value if isinstance(value, list) else [value] for key, value in content.items()}
    raise BadRequest(f"{name} must be a list of records" + ("." if name == "dataframe_records" else " or columns."))


def _records(name: str, records: list[dict[str, Any]], signature: Sequence[Column]) -> Columns:
    known = [column for column in signature if column.required or any(column.name in record for record in records)]
    for at, record in enumerate(records):
        for column in known:
            if column.required and column.name not in record:
                raise BadRequest(f"{name}: record {at} lacks column {column.name}.")
    return {column.name: [record.get(column.name) for record in records] for column in known}


def _column(column: Column, given: Columns, rows: int) -> list[Any]:
    if column.name not in given:
        raise BadRequest(f"column {column.name} is missing.")
    values = given[column.name]
    if len(values) != rows:
        raise BadRequest(f"column {column.name} has {len(values)} values, others have {rows}.")
    return [_value(column, value, at) for at, value in enumerate(values)]


def _value(column: Column, value: Any, at: int) -> Any:
    """The value as its column's Python type, so that turning columns into arrays cannot fail."""
    try:
        if column.type in REAL and (value is None or isinstance(value, int | float)):
            return float("nan") if value is None else float(value)
        if (
            column.type in WHOLE
            and isinstance(value, int)
            and -(2 ** WHOLE[column.type]) <= value < 2 ** WHOLE[column.type]
        ):
            return int(value)
        if column.type == "boolean" and isinstance(value, bool):
            return value
        if column.type == "string" and isinstance(value, str):
            return value
    except OverflowError:
        pass
    raise BadRequest(f"column {column.name}, row {at}: {json.dumps(value)[:60]} does not fit type {column.type}.")
