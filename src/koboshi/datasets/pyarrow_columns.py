"""Columns of a Parquet file in plain forms, whatever their types: texts, 64-bit integers, and ticks since 1970."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.errors import BadInput

WITH_TEXT = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_null,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
NOT_TEXT = "bytes that are not UTF-8"


@dataclasses.dataclass(frozen=True, slots=True)
class PlainColumn:
    """Texts, or 64-bit integers; with a `tick` of `s`, `ms`, `us`, `ns` or `d` they are times in UTC.

    Other numbers are the shortest texts that give them again. `foreign` names a type that has no plain form, and all
    its values are null.
    """

    values: Any
    tick: str | None = None
    foreign: str | None = None


class ParquetColumns:
    """An open Parquet file; `names` are those of its columns.

    Raises `BadInput` where the file is damaged, and `OSError` where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = path.open("rb")
        try:
            self._file = pq.ParquetFile(self._handle)
            self.names: list[str] = self._file.schema_arrow.names
            self.rows: int = self._file.metadata.num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self._handle.close()
            raise self._damaged(error) from None

    def read(self, names: Sequence[str]) -> Mapping[str, PlainColumn]:
        """These columns, each of whose names is there once."""
        try:
            table = self._file.read(columns=list(names))
            table.validate(full=True)
            return {name: _plain(table.column(name)) for name in names}
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def _damaged(self, error: Exception) -> BadInput:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return BadInput(f"{self._path} is refused: it is no Parquet file that can be read ({reason}).")


def _plain(column: pa.ChunkedArray) -> PlainColumn:
    found = column.type
    if pa.types.is_dictionary(found):
        return _plain(column.cast(found.value_type))
    if tick := _tick(found):
        return PlainColumn(column.cast(pa.int32() if found.bit_width == 32 else pa.int64()), tick)
    return _in_plain_form(column)


def _tick(found: pa.DataType) -> str | None:
    if pa.types.is_timestamp(found):
        return str(found.unit)
    return {pa.date32(): "d", pa.date64(): "ms"}.get(found)


def _in_plain_form(column: pa.ChunkedArray) -> PlainColumn:
    found = column.type
    if pa.types.is_integer(found) and found != pa.uint64():
        return PlainColumn(column.cast(pa.int64()))
    if not any(is_kind(found) for is_kind in WITH_TEXT):
        return PlainColumn(pa.nulls(len(column), pa.large_string()), foreign=str(found))
    try:
        return PlainColumn(column.cast(pa.large_string()))
    except pa.ArrowInvalid:
        return PlainColumn(pa.nulls(len(column), pa.large_string()), foreign=NOT_TEXT)
