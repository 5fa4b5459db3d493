"""Parquet files whose bytes depend on nothing but their rows."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write rows in the order given: one chunk, fixed row groups, compression and level, no metadata of our own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.rechunk().write_parquet(
        path, compression="zstd", compression_level=3, row_group_size=100_000, statistics=True
    )


def write_days(table: pl.DataFrame, time_column: str, folder: Path) -> None:
    """One file for each day of the event time, `<day>.parquet`: later rows change only the files of their days."""
    folder.mkdir(parents=True, exist_ok=True)
    days = table.with_columns(pl.col(time_column).dt.date().alias("_day"))
    for (day,), rows in days.partition_by("_day", as_dict=True, include_key=False, maintain_order=True).items():
        write_table(rows, folder / f"{day}.parquet")


def read_tables(paths: Iterable[Path], schema: pl.Schema) -> pl.DataFrame:
    """The rows of several files, one after the other; an empty table of `schema` when there are none."""
    return pl.concat([schema.to_frame(), *map(pl.read_parquet, paths)], rechunk=True)
