"""The file of a landed span: the records as they came, with nothing of their meaning.

The same records of the same topic give the same bytes with the same version of pyarrow: row groups, compression and
metadata are fixed. Format 2 says in its metadata which topic it is of; format 1 did not, and is still read.
"""

import dataclasses
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.errors import BadInput, Corrupt
from koboshi.ingest.source import Records

FORMAT_VERSION = 2
HEADER = pa.struct([("name", pa.string()), ("value", pa.binary())])
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(HEADER), nullable=False),
    ]
)
ROW_GROUP = 65_536


@dataclasses.dataclass(frozen=True, slots=True)
class SpanContent:
    """What a span file tells of itself; `topic_id` is None in format 1."""

    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    topic_id: str | None


def write_span(path: Path, records: Records, topic_id: str | None = None) -> None:
    """Write records to a file, whole. Without a topic id it has format 1, byte by byte."""
    known = {"koboshi.span": "1"} if topic_id is None else {"koboshi.span": "2", "koboshi.topic_id": topic_id}
    schema = SCHEMA.with_metadata(known)
    columns = [records.offsets, records.timestamps_ms, records.keys, records.values]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    table = pa.Table.from_arrays([*arrays, _headers(records)], schema=schema)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP)


def _headers(records: Records) -> pa.ListArray:
    """Built from flat columns: ten times faster than from nested objects."""
    ends = list(accumulate((len(headers) for headers in records.headers), initial=0))
    names = pa.array([name for headers in records.headers for name, _ in headers], pa.string())
    values = pa.array([value for headers in records.headers for _, value in headers], pa.binary())
    flat = pa.StructArray.from_arrays([names, values], fields=list(HEADER))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat)


def read_span(path: Path) -> SpanContent:
    """The records of a file and its topic's id. Raises `Corrupt` for what is no span, `BadInput` for a newer format."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        found = int(metadata[b"koboshi.span"])
        if found > FORMAT_VERSION:
            raise BadInput(f"{path} has span format {found}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
        table = pq.read_table(path, columns=["offset", "key", "value"])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise Corrupt(f"{path} is no span file ({error}): take it from a backup, or move it away.") from error
    offsets, keys, values = (table.column(name).to_pylist() for name in ("offset", "key", "value"))
    topic_id = metadata.get(b"koboshi.topic_id")
    return SpanContent(offsets, keys, values, topic_id.decode() if topic_id else None)
