"""The file of a landed span: the records as they came, with nothing of their meaning.

The same records of the same topic give the same bytes with the same version of pyarrow: row groups, compression and
metadata are fixed. Since format 2 the metadata say which topic the records are of; since format 3 the names of headers
are bytes. Earlier formats are still read, and written where a file that was committed in one has to be made again.
"""

from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.errors import BadInput, Corrupt
from koboshi.formats.records import Records, SpanContent

FORMAT_VERSION = 3
NAMES_THE_TOPIC, HAS_NAMES_AS_BYTES = 2, 3
ROW_GROUP = 65_536


def schema_of(topic_id: str, span_format: int = FORMAT_VERSION) -> pa.Schema:
    """Columns and metadata of a file in this format."""
    name = pa.binary() if span_format >= HAS_NAMES_AS_BYTES else pa.string()
    known = {"koboshi.span": str(span_format)}
    if span_format >= NAMES_THE_TOPIC:
        known["koboshi.topic_id"] = topic_id
    fields = [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(pa.struct([("name", name), ("value", pa.binary())])), nullable=False),
    ]
    return pa.schema(fields, known)


def write_span(path: Path, records: Records, topic_id: str, span_format: int = FORMAT_VERSION) -> None:
    """Write records to a file, whole; in an earlier format byte by byte as it was written then."""
    schema = schema_of(topic_id, span_format)
    columns = [records.offsets, records.timestamps_ms, records.keys, records.values]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    table = pa.Table.from_arrays([*arrays, _headers(records, schema.field("headers").type.value_type)], schema=schema)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP)


def _headers(records: Records, header: pa.StructType) -> pa.ListArray:
    """Built from flat columns: ten times faster than from nested objects.

    A name that is not UTF-8 goes as it is into the text of an earlier format. No file of such a format was committed
    with one, so what comes out equals no committed file.
    """
    ends = list(accumulate((len(headers) for headers in records.headers), initial=0))
    names = pa.array([name for headers in records.headers for name, _ in headers], pa.binary())
    values = pa.array([value for headers in records.headers for _, value in headers], pa.binary())
    flat = pa.StructArray.from_arrays([names.cast(header.field("name").type, safe=False), values], fields=list(header))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat)


def read_span(path: Path) -> SpanContent:
    """The records of a file and its topic's id. Raises `Corrupt` for what is no span, `BadInput` for a newer format."""
    try:
        return _content(pq.ParquetFile(path, memory_map=False), str(path), None)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise Corrupt(f"{path} is no span file ({error}): take it from a backup, or move it away.") from error


def parse_span(data: bytes, name: str) -> SpanContent:
    """The same from bytes that were verified already; a file that names no format has format 1.

    Raises `BadInput`, with the file's name, for a newer format.
    """
    return _content(pq.ParquetFile(pa.BufferReader(data)), name, b"1")


def _content(file: pq.ParquetFile, name: str, unnamed: bytes | None) -> SpanContent:
    """Timestamps and headers stay behind. Raises `KeyError` for a file without a format, unless `unnamed` gives it."""
    with file:
        metadata = file.schema_arrow.metadata or {}
        found = int(metadata[b"koboshi.span"] if unnamed is None else metadata.get(b"koboshi.span", unnamed))
        if found > FORMAT_VERSION:
            raise BadInput(f"{name} has span format {found}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
        table = file.read(columns=["offset", "key", "value"])
    topic_id = metadata.get(b"koboshi.topic_id")
    offsets, keys, values = (table.column(column).to_pylist() for column in ("offset", "key", "value"))
    return SpanContent(offsets, keys, values, topic_id.decode() if topic_id else None)
