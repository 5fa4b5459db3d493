"""Records as kafka-python fetches them, with header names as bytes: its own reader stops at one that is not UTF-8.

kafka-python fetches, compares checksums, uncompresses, and knows which transactions were aborted. How the bytes of a
batch (message format 2) become records is ours, pure, for any bytes. A header's name is bytes here. Kafka's protocol
calls it a string, but no broker looks at it: a producer may put other bytes than UTF-8 there, and a client that decodes
names cannot read on.
"""

import dataclasses
import struct
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecord, LegacyRecordBatch
from kafka.record.memory_records import MemoryRecords

from koboshi.errors import BadInput, Corrupt, NotConfigured, Permanent
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
    return (None, pos) if length < 0 else (data[pos : pos + length], pos + length)


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


CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
FORMAT_WITH_HEADERS = 2
LOG_APPEND_TIME = 1
MARK, ABORTED = struct.Struct(">hh"), 0
NO_TIMESTAMP = -1
# Nobody here asks a record for its checksum, or for the sizes of key, value and headers.
UNUSED = (None, -1, -1, -1)


def keep_header_names(consumer: KafkaConsumer) -> None:
    """Let a consumer hand out the names of headers as bytes, whatever they are. Nothing else changes."""
    consumer._fetcher.PartitionRecords = RawPartitionRecords


class RawPartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What one fetch brought of one partition.

    Raises `Corrupt` for bytes that are no records, `BadInput` for an unknown codec, `NotConfigured` for a codec whose
    library is not installed; each names the offset. The batches before are handed out, and the position is behind them.
    """

    def _unpack_records(self, tp: TopicPartition, records: Any, *_deserializers: Any) -> Iterator[ConsumerRecord]:
        try:
            while (batch := self._next_batch(tp, records)) is not None:
                yield from self._unpack(tp, batch)
        finally:  # after an error, too: else kafka-python asks the exhausted fetch for records for ever
            self.drain()

    def _next_batch(self, tp: TopicPartition, records: MemoryRecords) -> Any:
        """The next batch, whose bytes are those that its checksum is of."""
        try:
            batch = records.next_batch()
        except (CorruptRecordError, struct.error, AssertionError) as error:
            raise _broken(tp, self.next_fetch_offset, "its head is none") from error
        if batch is not None and not batch.validate_crc():
            raise _broken(tp, batch.base_offset, "its checksum does not fit")
        return batch

    def _unpack(self, tp: TopicPartition, batch: Any) -> Iterator[ConsumerRecord]:
        if batch.magic < FORMAT_WITH_HEADERS:
            yield from self._unpack_legacy(tp, batch)
            return
        self.leader_epoch = batch.leader_epoch
        if not self._is_left_out(tp, batch):
            yield from self._unpack_batch(tp, batch)
        # The last records of a batch may have been compacted away: the next fetch begins behind them.
        self.next_fetch_offset = batch.next_offset

    def _is_left_out(self, tp: TopicPartition, batch: DefaultRecordBatch) -> bool:
        """Whether the batch marks the end of a transaction, or holds records of an aborted one."""
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if batch.is_control_batch and _marks_an_abort(tp, batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _unpack_batch(self, tp: TopicPartition, batch: DefaultRecordBatch) -> Iterator[ConsumerRecord]:
        appended_ms = batch.max_timestamp if batch.timestamp_type == LOG_APPEND_TIME else None
        topic, partition, epoch, kind = tp.topic, tp.partition, batch.leader_epoch, batch.timestamp_type
        for offset, created_ms, key, value, headers in _records(tp, batch):
            self.next_fetch_offset = offset + 1
            when = created_ms if appended_ms is None else appended_ms
            fields = (topic, partition, epoch, offset, when, kind, key, value, headers, *UNUSED)
            yield tuple.__new__(ConsumerRecord, fields)  # in half the time of a call of the class

    def _unpack_legacy(self, tp: TopicPartition, batch: LegacyRecordBatch) -> Iterator[ConsumerRecord]:
        """Message formats 0 and 1: without headers and transactions, with a checksum for each record."""
        for record in _legacy_records(tp, batch):
            self.next_fetch_offset = record.offset + 1
            when = NO_TIMESTAMP if record.timestamp is None else record.timestamp
            place = tp.topic, tp.partition, self.leader_epoch, record.offset
            yield ConsumerRecord(*place, when, record.timestamp_type, record.key, record.value, [], *UNUSED)


def _marks_an_abort(tp: TopicPartition, batch: DefaultRecordBatch) -> bool:
    """Whether the mark of a transaction's end says that the transaction was aborted; its key has version and type."""
    for _, _, key, _, _ in _records(tp, batch):
        if key is None or len(key) < MARK.size:
            raise _broken(tp, batch.base_offset, "the mark of a transaction has no type")
        return bool(MARK.unpack_from(key)[1] == ABORTED)
    return False


def _records(tp: TopicPartition, batch: DefaultRecordBatch) -> list[BatchRecord]:
    """All of a batch, or none: nothing is handed out of a batch that is broken further behind."""
    frame = BatchFrame(batch.base_offset, batch.last_offset, batch.first_timestamp, batch.records_count)
    try:
        return list(read_records(frame, _uncompressed(tp, batch)))
    except UnreadableError as error:
        raise _broken(tp, frame.first_offset, str(error)) from error


def _uncompressed(tp: TopicPartition, batch: DefaultRecordBatch) -> bytes:
    """The bytes behind the batch's head. Each codec's library has errors of its own: all mean that bytes do not fit."""
    try:
        batch._maybe_uncompress()
    except UnsupportedCodecError as error:
        raise _unknown_codec(tp, batch) from error
    except Exception as error:
        why = f"it is not {CODECS[batch.compression_type]}: {type(error).__name__}"
        raise _broken(tp, batch.base_offset, why) from error
    return bytes(memoryview(batch._buffer)[batch._pos :])


def _legacy_records(tp: TopicPartition, batch: LegacyRecordBatch) -> list[LegacyRecord]:
    try:
        found = list(batch)
    except UnsupportedCodecError as error:
        raise _unknown_codec(tp, batch) from error
    except Exception as error:
        raise _broken(tp, batch.base_offset, f"{type(error).__name__}: {error}") from error
    for record in found:
        if not record.validate_crc():
            raise _broken(tp, record.offset, "its checksum does not fit")
    return found


def _unknown_codec(tp: TopicPartition, batch: Any) -> Permanent:
    place = f"{tp.topic}/{tp.partition}: the batch at offset {batch.base_offset} is compressed with"
    if (codec := CODECS.get(batch.compression_type)) is not None:
        return NotConfigured(f"{place} {codec}, and the codec is not installed: pip install 'koboshi[kafka]'.")
    return BadInput(
        f"{place} codec {batch.compression_type}, which is none of those that koboshi knows "
        f"({', '.join(CODECS.values())}): set the producer's compression.type to one of them, and land its records "
        "from a new topic."
    )


def _broken(tp: TopicPartition, offset: int, why: str) -> Corrupt:
    return Corrupt(
        f"{tp.topic}/{tp.partition}: the batch at offset {offset} is broken on the broker ({why}): put the partition "
        "right from another replica or a backup of Kafka's log."
    )
