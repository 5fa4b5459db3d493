"""Columns of a Parquet file in plain forms, whatever their types: texts, 64-bit integers, and ticks since 1970."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
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


@dataclasses.dataclass(frozen=True, slots=True)
class ParquetColumns:
    """The names of all columns of a Parquet file, how many rows it has, and the columns that were asked for."""

    names: list[str]
    rows: int
    columns: Mapping[str, PlainColumn]


def read_parquet(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> ParquetColumns:
    """The columns that `choose` picks from the names of all; each picked name is there once.

    Raises `BadInput` where the file is damaged, and `OSError` where it cannot be opened.
    """
    with path.open("rb") as handle:
        try:
            file = pq.ParquetFile(handle)
            names = file.schema_arrow.names
            table = file.read(columns=list(choose(names)))
            table.validate(full=True)
            plain = {name: _plain(table.column(name)) for name in table.column_names}
            return ParquetColumns(names, file.metadata.num_rows, plain)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(f"{path} is refused: it is no Parquet file that can be read ({reason}).") from None


def _plain(column: pa.ChunkedArray) -> PlainColumn:
    found = column.type
    if pa.types.is_dictionary(found):
        return _plain(column.cast(found.value_type))
    if tick := str(found.unit) if pa.types.is_timestamp(found) else {pa.date32(): "d", pa.date64(): "ms"}.get(found):
        return PlainColumn(column.cast(pa.int32() if found.bit_width == 32 else pa.int64()), tick)
    if pa.types.is_integer(found) and found != pa.uint64():
        return PlainColumn(column.cast(pa.int64()))
    if not any(is_kind(found) for is_kind in WITH_TEXT):
        return PlainColumn(pa.nulls(len(column), pa.large_string()), foreign=str(found))
    try:
        return PlainColumn(column.cast(pa.large_string()))
    except pa.ArrowInvalid:
        return PlainColumn(pa.nulls(len(column), pa.large_string()), foreign=NOT_TEXT)
