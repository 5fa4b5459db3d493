"""Zstandard streams, as Python's file objects."""

from pathlib import Path
from typing import IO, cast

import pyarrow as pa


def open_writing(path: Path) -> IO[bytes]:
    """A file that is compressed as it is written."""
    return cast("IO[bytes]", pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd"))


def open_reading(path: Path) -> IO[bytes]:
    """A compressed file; reading raises `OSError` where it is damaged or cut short."""
    return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd"))
