"""The audit's own reader of span files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from koboshi.errors import BadInput

KNOWN_FORMAT = 2
COLUMNS = ["offset", "timestamp_ms", "key", "value", "headers"]
BATCH = 10_000


def read_records(path: Path) -> Iterator[tuple[Any, ...]]:
    """The records of a span file, as `koboshi.ingest.audit.Record`, few of them in memory at a time.

    Raises `BadInput` for a newer format.
    """
    with pq.ParquetFile(path) as file:
        found = int((file.schema_arrow.metadata or {}).get(b"koboshi.span", b"1"))
        if found > KNOWN_FORMAT:
            raise BadInput(f"{path} has span format {found}, this koboshi knows {KNOWN_FORMAT}: upgrade koboshi.")
        for batch in file.iter_batches(BATCH, columns=COLUMNS):
            offsets, timestamps, keys, values, headers = (batch.column(name).to_pylist() for name in COLUMNS)
            named = ([(header["name"], header["value"]) for header in ours] for ours in headers)
            yield from zip(offsets, timestamps, keys, values, named, strict=True)
