"""Which rows make a partition, and the key of a scoring: pure."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

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
