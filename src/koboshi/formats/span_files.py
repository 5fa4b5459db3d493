"""Span files: where they are (spans/<topic>/<partition>/<start>-<end>-<digest>.parquet), and whether ranges tile."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from koboshi.names import one_part
from koboshi.refs import SpanRange

FOLDER = "spans"
_NAME = re.compile(r"(\d+)-(\d+)-([0-9a-f]{16})\.parquet")


def partition_folder(topic: str, partition: int) -> Path:
    """Where the files of a partition are, relative to the state folder."""
    return Path(FOLDER) / one_part(topic, "the topic") / str(partition)


def landed_files(folder: Path) -> Iterator[Path]:
    """The files of one partition's folder that have their final names."""
    return folder.glob("*-*-*.parquet")


def file_name(span: SpanRange, sha256: str) -> str:
    """The final name of a span's file."""
    return f"{span.start}-{span.end}-{sha256[:16]}.parquet"


def parsed_name(name: str) -> tuple[int, int, str] | None:
    """Start, end and the first 16 digits of the SHA-256 that a file's name tells; None for another name."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def count_tiling(ranges: Sequence[SpanRange], start: int) -> int:
    """How many of these ranges follow on each other from offset `start`: all of them where they tile (I1)."""
    count = 0
    while count < len(ranges) and ranges[count].start == start:
        start = ranges[count].end
        count += 1
    return count
