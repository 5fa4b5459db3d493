"""The records of a Kafka batch (message format 2), from its uncompressed bytes: pure, for any bytes.

A header's name is bytes here. Kafka's protocol calls it a string, but no broker looks at it: a producer may put other
bytes than UTF-8 there, and a client that decodes names cannot read on.
"""

import dataclasses
from collections.abc import Iterator

from koboshi.formats.records import Header

# offset, timestamp in ms, key, value, headers
BatchRecord = tuple[int, int, bytes | None, bytes | None, list[Header]]
INT64 = 1 << 63
UINT64_BITS = 64


class UnreadableError(Exception):
    """Bytes that are no records; says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchFrame:
    """What a batch's own head says of its records; their numbers are relative to it."""

    first_offset: int
    last_offset: int
    first_ms: int
    records: int


def read_records(frame: BatchFrame, data: bytes) -> Iterator[BatchRecord]:
    """The records, in order of offsets. Raises `UnreadableError` unless each fits its length, and all fit the head."""
    pos, last = 0, frame.first_offset - 1
    try:
        for _ in range(frame.records):
            length, pos = _varint(data, pos)
            record, end = _record(frame, data, pos)
            if end != pos + length:
                raise UnreadableError(f"a record of {length} bytes takes {end - pos}")
            if not last < record[0] <= frame.last_offset:
                raise UnreadableError(f"offset {record[0]} stands between {last} and {frame.last_offset}")
            pos, last = end, record[0]
            yield record
    except IndexError:
        raise UnreadableError("a record ends behind its batch") from None
    if pos != len(data):
        raise UnreadableError(f"{len(data) - pos} bytes stand behind the last record")


def _record(frame: BatchFrame, data: bytes, pos: int) -> tuple[BatchRecord, int]:
    """The record that begins at `pos` with its attributes, a byte that has no meaning yet, and where it ends."""
    delta_ms, pos = _varint(data, pos + 1)
    if not -INT64 <= (timestamp_ms := frame.first_ms + delta_ms) < INT64:
        raise UnreadableError(f"a timestamp of {timestamp_ms} ms is longer than 64 bits")
    delta, pos = _varint(data, pos)
    key, pos = _nullable(data, pos)
    value, pos = _nullable(data, pos)
    count, pos = _varint(data, pos)
    if count < 0:
        raise UnreadableError(f"a record has {count} headers")
    headers: list[Header] = []
    for _ in range(count):
        name, pos = _nullable(data, pos)
        if name is None:
            raise UnreadableError("a header has no name")
        content, pos = _nullable(data, pos)
        headers.append((name, content))
    return (frame.first_offset + delta, timestamp_ms, key, value, headers), pos


def _nullable(data: bytes, pos: int) -> tuple[bytes | None, int]:
    """Bytes behind their length; a negative length stands for null."""
    length, pos = _varint(data, pos)
    if length < 0:
        return None, pos
    return data[pos : pos + length], pos + length


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """A signed number of at most 64 bits, seven of them in each byte, zigzag; and where it ends."""
    byte = data[pos]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), pos + 1
    number, shift = byte & 0x7F, 7
    while shift < UINT64_BITS:
        pos += 1
        byte = data[pos]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), pos + 1
        shift += 7
    raise UnreadableError("a number is longer than 64 bits")
