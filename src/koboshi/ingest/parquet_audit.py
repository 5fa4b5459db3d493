"""The audit's own reader of span files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from koboshi.errors import BadInput

KNOWN_FORMAT = 3
COLUMNS = ["offset", "timestamp_ms", "key", "value", "headers"]
BATCH = 10_000


def read_records(path: Path) -> Iterator[tuple[Any, ...]]:
    """The records of a span file, as `koboshi.ingest.audit.Record`, few of them in memory at a time.

    What follows a zero byte in a header's name is left out, for the broker's side cannot be asked for the rest.
    Raises `BadInput` for a newer format.
    """
    with pq.ParquetFile(path) as file:
        found = int((file.schema_arrow.metadata or {}).get(b"koboshi.span", b"1"))
        if found > KNOWN_FORMAT:
            raise BadInput(f"{path} has span format {found}, this koboshi knows {KNOWN_FORMAT}: upgrade koboshi.")
        for batch in file.iter_batches(BATCH, columns=COLUMNS):
            offsets, timestamps, keys, values, headers = (batch.column(name).to_pylist() for name in COLUMNS)
            named = ([(_name(header["name"]), header["value"]) for header in ours] for ours in headers)
            yield from zip(offsets, timestamps, keys, values, named, strict=True)


def _name(found: str | bytes) -> bytes:
    """A header's name as librdkafka hands it out: up to its first zero byte. Text until format 2."""
    return (found.encode() if isinstance(found, str) else found).partition(b"\0")[0]
