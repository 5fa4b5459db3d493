"""What comes out: a dataset folder, a file for each partition, and `scoring.json`, which says by what it was made."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koboshi.datasets.build import building, open_verified
from koboshi.errors import BadInput, Corrupt
from koboshi.files import publish_bytes
from koboshi.scoring.partitions import FORMAT_VERSION

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
