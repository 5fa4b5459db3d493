"""A person's table from a file, CSV or Parquet: rows of declared columns, or every reason why not, by line and value.

    read_table(Path("cards.csv"), [Column("id", Number(), unique=True), Column("paid_at", Timestamp())]).rows

CSV is read as text: each field as it stands, and the line that it stands in. Nothing is guessed from the values.
Python's own parser decides. Polars takes a fifth of the time, and splits a file whose lines all have as many commas as
its header, and whose quotes all stand in pairs around whole fields.
"""

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from koboshi.datasets.numpy_lines import each_line_has
from koboshi.datasets.polars_columns import Cells, judge_column, shown_ticks
from koboshi.datasets.pyarrow_columns import PlainColumn, read_parquet
from koboshi.datasets.table_columns import SHOWN, Column, Fault, places_of, refusal, shown
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


SUFFIXES = (".csv", ".parquet")
ITS_OWN = "a value that no row before it has"


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Where each row stands in its file: in lines of a CSV file, in rows of a Parquet file, both counted from 1."""

    numbers: pl.Series
    unit: str

    def fault(self, column: str, cells: Cells, wrong: pl.Series, expected: str) -> Fault:
        """The fault of the rows that are marked as wrong."""
        rows = wrong.arg_true()
        first = tuple((f"{self.unit} {self.numbers[row]}", _shown(cells, row)) for row in rows.head(SHOWN))
        return Fault(column, expected, len(rows), first)


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Rows of the declared columns, in the order of the file."""

    path: Path
    rows: pl.DataFrame
    places: Places

    def check(self, column: str, wrong: pl.Series, expected: str, values: pl.Series) -> None:
        """Refuse rows by a rule of the caller's own: raises `BadInput` with these values, in the reader's words."""
        if wrong.any():
            raise refusal(self.path, [self.places.fault(column, Cells(values.cast(pl.String)), wrong, expected)])


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """The cells of the columns that a file has, by declared name, and the names that they have there."""

    cells: dict[str, Cells]
    names: dict[str, str]
    places: Places
    faults: list[Fault]


def read_table(path: Path, columns: Sequence[Column]) -> Table:
    """The rows of a .csv or .parquet file; columns that are not declared are ignored.

    Numbers, times and labels are exact or refused. Raises `BadInput` with every kind of fault: how often it is there,
    and its first three values, each with its line (or row), its column and what is expected.
    """
    try:
        _check_is_file(path)
        found = (_in_csv if path.suffix.lower() == ".csv" else _in_parquet)(path, columns)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from None
    rows, faults = _judged(found, columns)
    if faults:
        raise refusal(path, faults)
    return Table(path, rows, found.places)


def _check_is_file(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"there is no file {path}.")
    if not path.is_file():
        raise BadInput(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}: name a .csv or .parquet file.")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path} cannot be read: its name has to end in {' or '.join(SUFFIXES)}.")
    if not path.stat().st_size:
        raise _without_rows(path)


def _without_rows(path: Path) -> BadInput:
    return BadInput(f"{path} is refused: it has no rows.")


def _in_csv(path: Path, columns: Sequence[Column]) -> _Found:
    fields = read_csv(path)
    if fields.lines.is_empty() and not fields.faults:
        raise _without_rows(path)
    positions, faults = places_of(fields.header, columns)
    cells = {name: Cells(fields.columns[position]) for name, position in positions.items()}
    return _Found(cells, _names(fields.header, positions), Places(fields.lines, "line"), [*fields.faults, *faults])


def _in_parquet(path: Path, columns: Sequence[Column]) -> _Found:
    file = read_parquet(path, lambda names: [names[position] for position in places_of(names, columns)[0].values()])
    if not file.rows:
        raise _without_rows(path)
    positions, faults = places_of(file.names, columns)
    cells = {name: _cells(file.columns[file.names[position]]) for name, position in positions.items()}
    places = Places(pl.Series(range(1, file.rows + 1), dtype=pl.Int64), "row")
    return _Found(cells, _names(file.names, positions), places, faults)


def _names(header: Sequence[str], positions: Mapping[str, int]) -> dict[str, str]:
    names = {name: header[position].strip() for name, position in positions.items()}
    return {name: written if written.isprintable() else repr(written) for name, written in names.items()}


def _cells(column: PlainColumn) -> Cells:
    return Cells(pl.Series(pl.from_arrow(column.values)), column.tick, column.foreign)


def _judged(found: _Found, columns: Sequence[Column]) -> tuple[pl.DataFrame, list[Fault]]:
    values, faults = {}, found.faults.copy()
    for column in (column for column in columns if column.name in found.cells):
        cells = found.cells[column.name]
        judged = judge_column(cells, column.kind)
        again = judged.values.is_not_null() & ~judged.values.is_first_distinct()
        refused = judged.refused + ([(again, ITS_OWN)] if column.unique and again.any() else [])
        faults += [found.places.fault(found.names[column.name], cells, wrong, why) for wrong, why in refused]
        values[column.name] = judged.values
    return pl.DataFrame(values), faults


def _shown(cells: Cells, row: int) -> str:
    value = cells.values[row]
    if cells.foreign:
        return f"of type {cells.foreign}"
    return shown_ticks(value, cells.tick) if cells.tick and value is not None else shown(value)
