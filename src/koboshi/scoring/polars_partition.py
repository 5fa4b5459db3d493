"""Which rows make a partition, and the key of a scoring, pure; a partition's rows, scored, as Parquet again.

The rows are read out of the dataset's Parquet files; what the model answers to them goes into a file of its own.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput, Corrupt
from koboshi.files import publish_bytes
from koboshi.formats.manifest import Dataset
from koboshi.formats.polars_tables import write_table
from koboshi.refs import ModelRef
from koboshi.serving.engine import Model
from koboshi.serving.protocol import REAL, WHOLE, Column

FORMAT_VERSION = 1  # of what is published; part of the key, so that another format is scored anew
ROWS = 100_000  # a row group of the datasets that koboshi writes


@dataclasses.dataclass(frozen=True, slots=True)
class Partition:
    """Rows [start, start + rows) of a file of the dataset; `name` says which of how many."""

    name: str
    file: str
    start: int
    rows: int


def plan_partitions(files: Mapping[str, int], rows: int = ROWS) -> list[Partition]:
    """Cut files (name → rows) into partitions of at most so many rows, none across two files.

    Every row is in exactly one, in the order of file names and rows; the same files give the same plan, so what a
    partition holds depends neither on the number of workers nor on what was done before.
    """
    cuts = [
        (name, start, min(rows, count - start))
        for name, count in sorted(files.items())
        for start in range(0, count, rows)
    ]
    return [Partition(f"part-{at:05d}-of-{len(cuts):05d}", *cut) for at, cut in enumerate(cuts)]


def scoring_key(dataset_sha256: str, model: ModelRef, keep: Sequence[str], rows: int) -> str:
    """SHA-256 over what decides the bytes: the dataset's manifest, the version with its artefact, how it is written.

    Neither code nor environment is in it: the model is asked its recorded example in each process that scores, and has
    to answer it to the bit.
    """
    facts: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "dataset": dataset_sha256,
        "model": model.as_json(),
        "keep": list(keep),
        "rows": rows,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


FILE = "scoring.json"


def check_place(to: Path, dataset: Path) -> None:
    """Raise `BadInput` where scores would take the place of something else, or change the dataset that is scored."""
    if to.is_relative_to(dataset):
        raise BadInput(f"{to} is inside the dataset that is scored: choose another folder.")
    if to.exists() and not (to / FILE).is_file():
        raise BadInput(f"{to} is there and holds no scores: choose another folder, or remove it.")


def holds(to: Path, key: str) -> bool:
    """Whether the scores of this key are there, every byte as published; raises `BadInput` for a newer format."""
    try:
        told = json.loads(open_verified(to).path(FILE).read_bytes())
    except (BadInput, Corrupt):
        return False
    if told["format"] > FORMAT_VERSION:
        newer = f"{to / FILE} has format {told['format']}, this koboshi knows {FORMAT_VERSION}"
        raise BadInput(f"{newer}: upgrade koboshi, or choose another folder.")
    return bool(told["key"] == key)


def publish(to: Path, description: dict[str, Any], parts: Iterator[tuple[str, bytes]]) -> None:
    """Put the scores in their place, all at once.

    Key: the scoring's key, in `scoring.json`. Commit: the rename of the sealed folder (`building`), its manifest the
    last file in it. Under a crash: the scores that were there before, or none; the next call publishes the same bytes.
    """
    with building(to) as folder:
        for name, data in parts:
            publish_bytes(folder / f"{name}.parquet", data)
        text = json.dumps({"format": FORMAT_VERSION, **description}, indent=1, sort_keys=True)
        publish_bytes(folder / FILE, text.encode() + b"\n")


PREDICTION = "prediction"
_WHOLE = {"integer": pl.Int32, "long": pl.Int64}


def tables(dataset: Dataset) -> dict[str, int]:
    """The Parquet files of a dataset, and how many rows each has; raises `BadInput` when there are none."""
    names = [name for name in dataset.files if name.endswith(".parquet")]
    rows = {name: pl.scan_parquet(dataset.path(name), glob=False).select(pl.len()).collect().item() for name in names}
    if not sum(rows.values()):
        raise BadInput(f"{dataset.folder} has no rows in Parquet files: choose a dataset with a table.")
    return rows


def check_columns(dataset: Dataset, files: Sequence[str], signature: Sequence[Column], keep: Sequence[str]) -> None:
    """Raise `BadInput`, naming the first column that the model or `keep` asks for and a file does not have so."""
    for name in files:
        schema = pl.read_parquet_schema(dataset.path(name))
        for column in signature:
            _check_column(dataset.folder / name, column, schema.get(column.name))
        for wanted in keep:
            if wanted not in schema or wanted.startswith(PREDICTION):
                raise BadInput(f"column {wanted} cannot be kept: {dataset.folder / name} has {', '.join(schema)}.")


def scored_partition(
    path: Path, partition: Partition, model: Model, keep: Sequence[str]
) -> tuple[bytes, Mapping[str, float]]:
    """Score the rows of a partition in one call of the model: a Parquet file's bytes, and its number of rows.

    Columns `keep` come as they are, then the answers: `prediction`, or `prediction_0` … where a row has several (as
    `predict_proba` has). What the rows or the model refuse, they refuse each time: `BadInput`, naming the partition.
    """
    try:
        table = pl.scan_parquet(path, glob=False).slice(partition.start, partition.rows)
        wanted = [column for column in model.signature if column.required or column.name in table.collect_schema()]
        rows = table.select({*keep, *(column.name for column in wanted)}).collect()
        answers = model.answers({column.name: _values(rows[column.name], column) for column in wanted})
        scored = rows.select(keep).with_columns(_predictions(answers))
    except Exception as error:
        where = f"{partition.name} (rows {partition.start:,} to {partition.start + partition.rows:,} of {path})"
        reason = (str(error) or "no reason given").splitlines()[0].rstrip(".")
        raise BadInput(f"{where} cannot be scored: {type(error).__name__}: {reason}.") from error
    return _parquet(scored), {"rows": float(scored.height)}


def _check_column(path: Path, column: Column, dtype: pl.DataType | None) -> None:
    if dtype is None and column.required:
        raise BadInput(f"the model needs column {column.name}, which {path} does not have: choose another dataset.")
    if dtype is not None and not _fits(dtype, column.type):
        raise BadInput(f"column {column.name} of {path} is {dtype}, and the model takes {column.type}.")


def _fits(dtype: pl.DataType, kind: str) -> bool:
    """What the scoring protocol takes for such a column, too."""
    if kind in REAL:
        return dtype.is_float() or dtype.is_integer() or dtype == pl.Boolean
    if kind in WHOLE:
        return dtype.is_integer()
    return bool(dtype == (pl.Boolean if kind == "boolean" else pl.String))


def _values(column: pl.Series, wanted: Column) -> Any:
    """As the scoring protocol reads them: a missing number is not a number, anything else may not be missing."""
    if wanted.type in REAL:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if column.has_nulls():
        raise ValueError(f"column {wanted.name} has missing values, which do not fit type {wanted.type}")
    if wanted.type in WHOLE:
        return column.cast(_WHOLE[wanted.type]).to_numpy()
    return column.to_list()


def _predictions(answers: Any) -> list[pl.Series]:
    if answers.ndim == 1:
        return [pl.Series(PREDICTION, answers.tolist())]
    return [pl.Series(f"{PREDICTION}_{at}", answers[:, at]) for at in range(answers.shape[1])]


def _parquet(table: pl.DataFrame) -> bytes:
    with tempfile.TemporaryDirectory(prefix="koboshi-scoring-") as folder:
        path = Path(folder) / "part.parquet"
        write_table(table, path)
        return path.read_bytes()
