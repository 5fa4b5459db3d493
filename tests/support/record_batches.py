"""Kafka's record batches (message format 2) made by hand: what no client's producer would send, too."""

import gzip
import struct
import time
from collections.abc import Callable, Mapping, Sequence

import lz4.frame
import snappy
import zstandard
from crc32c import crc32c
from kafka import KafkaAdminClient
from kafka.protocol.producer import ProduceRequest

from tests.support.memory_stream import Record

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PACKERS: Mapping[int, Callable[[bytes], bytes]] = {
    1: gzip.compress,
    2: snappy.compress,
    3: lambda data: bytes(lz4.frame.compress(data, block_linked=False)),
    4: lambda data: zstandard.ZstdCompressor().compress(data),
}
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
WITHOUT_LEADER = (3, 5, 6)  # unknown topic or partition, leader not available, not leader or follower
LED_WITHIN_S = 30.0
HEAD = struct.Struct(">hiqqqhii")
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"


def varint(number: int) -> bytes:
    """A signed number as Kafka writes it: zigzag, seven bits a byte."""
    number, out = (number << 1) ^ (number >> 63), bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def records(rows: Sequence[Record]) -> bytes:
    """The records of a batch, relative to the first one's offset and time."""
    base, first_ms = rows[0][:2] if rows else (0, 0)
    return b"".join(_record(row, base, first_ms) for row in rows)


def _record(row: Record, base: int, first_ms: int) -> bytes:
    offset, timestamp_ms, key, value, headers = row
    body = b"\0" + varint(timestamp_ms - first_ms) + varint(offset - base) + _nullable(key) + _nullable(value)
    body += varint(len(headers)) + b"".join(_nullable(name) + _nullable(content) for name, content in headers)
    return varint(len(body)) + body


def _nullable(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def batch(
    rows: Sequence[Record], *, codec: int = 0, kind: int = 0, producer: int = -1, last_offset: int | None = None
) -> bytes:
    """A whole batch. `kind` adds LOG_APPEND_TIME, TRANSACTIONAL or CONTROL; an unknown codec packs nothing."""
    payload = PACKERS.get(codec, bytes)(records(rows))
    return framed(payload, rows, codec | kind, producer, last_offset)


def framed(
    payload: bytes, rows: Sequence[Record], attributes: int = 0, producer: int = -1, last: int | None = None
) -> bytes:
    """A batch around a payload, with a checksum that fits whatever that is."""
    base, last_offset = rows[0][0], rows[-1][0] if last is None else last
    times = [row[1] for row in rows]
    epoch = -1 if producer < 0 else 0
    head = (attributes, last_offset - base, times[0], max(times), producer, epoch, epoch, len(rows))
    checked = HEAD.pack(*head) + payload
    rest = struct.pack(">ibI", 0, 2, crc32c(checked)) + checked
    return struct.pack(">qi", base, len(rest)) + rest


def mark(offset: int, producer: int, key: bytes) -> bytes:
    """The end of a transaction: ABORT or COMMIT."""
    return batch([(offset, 0, key, b"", [])], kind=TRANSACTIONAL | CONTROL, producer=producer)


def send(bootstrap_servers: str, topic: str, partition: int, whole: bytes) -> None:
    """Append a batch, whose offsets begin at 0, to a log; the broker looks through it and numbers it.

    The log of a new topic has no leader for a moment, on a busy machine for longer.
    """
    kinds = ProduceRequest.TopicProduceData, ProduceRequest.TopicProduceData.PartitionProduceData
    asked = [kinds[0](name=topic, partition_data=[kinds[1](index=partition, records=whole)])]
    request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=10_000, topic_data=asked, max_version=9)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)

    async def answer():  # type: ignore[no-untyped-def]
        [node] = admin._manager.cluster.brokers()
        return await admin._manager.send(request, node_id=node.node_id)

    give_up_at = time.monotonic() + LED_WITHIN_S
    try:
        while True:
            [found] = admin._manager.run(answer).responses[0].partition_responses
            if found.error_code not in WITHOUT_LEADER or time.monotonic() > give_up_at:
                break
            time.sleep(0.05)
    finally:
        admin.close()
    assert found.error_code == 0, found
