"""A person's table from a file, CSV or Parquet: rows of declared columns, or every reason why not, by line and value.

read_table(Path("cards.csv"), [Column("id", Number(), unique=True), Column("paid_at", Timestamp())]).rows
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from koboshi.datasets.polars_columns import Cells, judge_column, shown_ticks
from koboshi.datasets.polars_csv import read_csv
from koboshi.datasets.pyarrow_columns import PlainColumn, read_parquet
from koboshi.datasets.table_columns import SHOWN, Column, Fault, places_of, refusal, shown
from koboshi.errors import BadInput

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
