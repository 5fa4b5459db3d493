"""The file of a landed span: the records as they came, with nothing of their meaning.

The same records give the same bytes with the same version of pyarrow: row groups, compression and metadata are fixed.
"""

from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.ingest.source import Records

HEADER = pa.struct([("name", pa.string()), ("value", pa.binary())])
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(HEADER), nullable=False),
    ],
    metadata={"koboshi.span": "1"},
)
ROW_GROUP = 65_536


def write_span(path: Path, records: Records) -> None:
    """Write records to a file, whole."""
    columns = [records.offsets, records.timestamps_ms, records.keys, records.values]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=False)]
    table = pa.Table.from_arrays([*arrays, _headers(records)], schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP)


def _headers(records: Records) -> pa.ListArray:
    """Built from flat columns: ten times faster than from nested objects."""
    ends = list(accumulate((len(headers) for headers in records.headers), initial=0))
    names = pa.array([name for headers in records.headers for name, _ in headers], pa.string())
    values = pa.array([value for headers in records.headers for _, value in headers], pa.binary())
    flat = pa.StructArray.from_arrays([names, values], fields=list(HEADER))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat)
