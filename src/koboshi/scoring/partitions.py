"""Which rows make a partition, and the key of a scoring: pure."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput, Corrupt
from koboshi.files import publish_bytes
from koboshi.refs import ModelRef

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
