"""The audit's own reader of span files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

COLUMNS = ["offset", "timestamp_ms", "key", "value", "headers"]
BATCH = 10_000


def read_records(path: Path) -> Iterator[tuple[Any, ...]]:
    """The records of a span file, as `koboshi.ingest.audit.Record`, few of them in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=COLUMNS):
            offsets, timestamps, keys, values, headers = (batch.column(name).to_pylist() for name in COLUMNS)
            named = ([(header["name"], header["value"]) for header in ours] for ours in headers)
            yield from zip(offsets, timestamps, keys, values, named, strict=True)
