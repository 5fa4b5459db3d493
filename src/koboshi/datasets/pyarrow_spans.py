"""Landed spans as pyarrow reads them: Parquet bytes in, plain columns out."""

import bisect
import dataclasses
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq


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


def parse(data: bytes) -> Columns:
    """The columns of a span's file that datasets need; timestamps and headers stay behind."""
    table = pq.read_table(pa.BufferReader(data), columns=["offset", "key", "value"])
    return Columns(*(table.column(name).to_pylist() for name in ("offset", "key", "value")))
