"""Where landed spans are in a state folder: spans/<topic>/<partition>/<start>-<end>-<digest>.parquet."""

from collections.abc import Iterator
from pathlib import Path

from koboshi.names import one_part

FOLDER = "spans"


def partition_folder(topic: str, partition: int) -> Path:
    """Where the files of a partition are, relative to the state folder."""
    return Path(FOLDER) / one_part(topic, "the topic") / str(partition)


def landed_files(folder: Path) -> Iterator[Path]:
    """The files of one partition's folder that have their final names."""
    return folder.glob("*-*-*.parquet")
