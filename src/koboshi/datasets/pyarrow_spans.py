"""Landed spans as pyarrow reads them: Parquet bytes in, plain columns out."""

import bisect
import dataclasses
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.errors import BadInput

KNOWN_FORMAT = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """One entry a record, in the order of their offsets."""

    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]

    def below(self, end: int) -> Self:
        """The records before offset `end`."""
        count = bisect.bisect_left(self.offsets, end)
        return (
            self
            if count == len(self.offsets)
            else type(self)(self.offsets[:count], self.keys[:count], self.values[:count])
        )


def parse(data: bytes, name: str) -> Columns:
    """The columns of a span's file that datasets need; timestamps and headers stay behind.

    Raises `BadInput`, with the file's name, for a newer format.
    """
    table = pq.read_table(pa.BufferReader(data), columns=["offset", "key", "value"])
    found = int((table.schema.metadata or {}).get(b"koboshi.span", b"1"))
    if found > KNOWN_FORMAT:
        raise BadInput(f"{name} has span format {found}, this koboshi knows {KNOWN_FORMAT}: upgrade koboshi.")
    return Columns(*(table.column(name).to_pylist() for name in ("offset", "key", "value")))
