"""CSV as text: each field as it stands, and the line that it stands in. Nothing is guessed from the values.

Python's own parser decides. Polars takes a fifth of the time, and splits a file whose lines all have as many commas as
its header, and whose quotes all stand in pairs around whole fields.
"""

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from koboshi.datasets.numpy_lines import each_line_has
from koboshi.datasets.table_columns import SHOWN, Fault
from koboshi.errors import BadInput

WHOLE = r'^(?:"[^"]*"|[^"]*)$'  # a field without quotes, or with two around it
RECORDS_AT_ONCE = 20_000
SEPARATORS = ";\t|"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Record = tuple[int, list[str]]
"""The line in which a record begins, and its fields."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """A file below its header: text columns by position, the line of each row, and what is wrong with other lines."""

    header: list[str]
    columns: list[pl.Series]
    lines: pl.Series
    faults: list[Fault]


def read_csv(path: Path) -> Fields:
    """The fields of a CSV file: UTF-8, separated by commas, a header first; blank lines do not count.

    Raises `BadInput` for a file that is no such text, `OSError` for a file that cannot be read.
    """
    data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    _check_text(path, data)
    records = _records(path, data)
    header = next(records, (0, []))
    _check_separator(path, header[1])
    return _split(data, header) or _collected(header[1], records)


def _check_text(path: Path, data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path} is refused: it is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line:,}, at offset "
            f"{error.start:,}); write it as UTF-8."
        ) from None


def _check_separator(path: Path, header: list[str]) -> None:
    if len(header) == 1 and (others := [mark for mark in SEPARATORS if mark in header[0]]):
        raise BadInput(
            f"{path} is refused: its header is one column, {header[0]!r}. Is {others[0]!r} the separator? "
            "Write the file with commas."
        )


def _records(path: Path, data: bytes) -> Iterator[Record]:
    """The records that have any fields, in order."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path} is refused: the record that begins in line {line:,} cannot be read ({error}); look at its quotes."
        ) from None


def _split(data: bytes, header: Record) -> Fields | None:
    """The fields as Polars splits them at commas and line ends, where that is surely right; None elsewhere."""
    line, names = header
    body, width = data.find(b"\n") + 1, len(names)
    odd_ends = data.count(b"\r") != data.count(b"\r\n") or "\n" in "".join(names)
    if line != 1 or odd_ends or not 0 < body < len(data) or not each_line_has(data, b",", width - 1, body):
        return None
    frame = pl.read_csv(data, has_header=False, skip_rows=1, infer_schema=False, quote_char=None)
    columns = frame.fill_null("").get_columns()
    if b'"' in data:
        columns = [column.str.strip_chars('"') for column in columns if column.str.contains(WHOLE).all()]
    rows = data.count(b"\n", body) + (not data.endswith(b"\n"))
    if (frame.height, len(columns)) != (rows, width):
        return None
    return Fields(names, columns, pl.Series(range(2, rows + 2), dtype=pl.Int64), [])


def _collected(header: list[str], records: Iterator[Record]) -> Fields:
    """The fields of the records that are as long as the header, and a fault for those that are not."""
    names = [str(place) for place in range(len(header))]  # by position: a header may have one name twice
    lines, odd = list[int](), list[tuple[int, int]]()
    frames = [pl.DataFrame(schema=dict.fromkeys(names, pl.String()))]
    while block := list(itertools.islice(records, RECORDS_AT_ONCE)):
        odd += [(line, len(fields)) for line, fields in block if len(fields) != len(header)]
        fitting = [record for record in block if len(record[1]) == len(header)]
        lines += [line for line, _ in fitting]
        columns = zip(*(fields for _, fields in fitting), strict=True)
        frames.append(pl.DataFrame(dict(zip(names, columns, strict=bool(fitting))), frames[0].schema))
    faults = [_odd_lengths(header, odd)] if odd else []
    return Fields(header, pl.concat(frames, rechunk=True).get_columns(), pl.Series(lines, dtype=pl.Int64), faults)


def _odd_lengths(header: list[str], odd: list[tuple[int, int]]) -> Fault:
    first = tuple((f"line {line}", f"with {fields}") for line, fields in odd[:SHOWN])
    return Fault("the fields of a line", f"{len(header)} as in the header", len(odd), first)
