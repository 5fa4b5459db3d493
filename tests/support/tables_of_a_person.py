"""Small tables as a person has them in files."""

from koboshi.datasets.polars_files import read_table
from koboshi.datasets.table_columns import Column


def csv_of(folder, *lines, name="table.csv", encoding="utf-8"):
    """A CSV file of these lines."""
    path = folder / name
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def read(path, *kinds):
    """The table of the columns a, b and c, as many as there are kinds."""
    return read_table(path, [Column(name, kind) for name, kind in zip("abc", kinds, strict=False)])
