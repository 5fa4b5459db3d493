"""How the bytes of a fetch become records: every codec, any header name, nothing of what was aborted."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import FetchResponse, IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from koboshi.errors import BadInput, Corrupt, NotConfigured
from koboshi.ingest import kafka_records
from koboshi.ingest.kafka_records import RawPartitionRecords
from tests.support import record_batches
from tests.support.record_batches import ABORT, CODECS, COMMIT, LOG_APPEND_TIME, TRANSACTIONAL, batch, framed, mark

PLACE = TopicPartition("t", 3)
ROWS = [
    (40, 1_000, b"k", b"v" * 200, [(b"\xff\xfe", b"x"), (b"a", b"1"), (b"a", b"2"), (b"", b"")]),
    (41, 900, None, None, [("ü".encode(), None)]),
    (45, 2_000, b"", b"", []),
]
Aborted = FetchResponse.FetchableTopicResponse.PartitionData.AbortedTransaction


def unpacked(data, start=0, kind=RawPartitionRecords, **options):
    """What one fetch from `start` hands out, and where the next one begins."""
    fetch = kind(start, PLACE, MemoryRecords(data), isolation_level=IsolationLevel.READ_COMMITTED, **options)
    return fetch.take(), fetch


def rows(found):
    return [(one.offset, one.timestamp, one.key, one.value, one.headers) for one in found]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_records_of_every_codec_come_as_they_were_sent(codec):
    """Header names that are not UTF-8, empty or doubled; headers, keys and values that are null."""
    found, fetch = unpacked(batch(ROWS, codec=codec), 40)
    assert rows(found) == ROWS
    assert {(one.topic, one.partition) for one in found} == {("t", 3)}
    assert (fetch.next_fetch_offset, bool(fetch)) == (46, False)


def test_a_fetch_into_the_middle_of_a_batch_begins_there():
    assert rows(unpacked(batch(ROWS), 41)[0]) == ROWS[1:]


def test_the_next_fetch_begins_behind_what_was_compacted_away():
    """The head of a batch keeps its last offset when the last records are gone."""
    found, fetch = unpacked(batch(ROWS, last_offset=60), 40)
    assert (len(found), fetch.next_fetch_offset) == (3, 61)


def test_a_topic_that_keeps_the_time_of_arrival_gives_it_to_all_records_of_a_batch():
    assert {one.timestamp for one in unpacked(batch(ROWS, kind=LOG_APPEND_TIME))[0]} == {2_000}


def test_aborted_transactions_and_marks_are_left_out():
    """Producer 7 aborts at 43, and commits what follows; producer 8 commits in between."""
    one, two = [row(40), row(41)], [row(42)]
    data = batch(one, kind=TRANSACTIONAL, producer=7) + batch(two, kind=TRANSACTIONAL, producer=8) + mark(43, 7, ABORT)
    data += batch([row(44)], kind=TRANSACTIONAL, producer=7) + mark(45, 8, COMMIT) + mark(46, 7, COMMIT)
    found, fetch = unpacked(data, 40, aborted_transactions=[Aborted(producer_id=7, first_offset=40)])
    assert ([record.offset for record in found], fetch.next_fetch_offset) == ([42, 44], 47)


def row(offset):
    return offset, 5, b"k", b"v", []


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_an_unknown_codec_is_named_with_its_offset(codec):
    with pytest.raises(
        BadInput, match=rf"^t/3: the batch at offset 40 is compressed with codec {codec}, .*gzip, snappy"
    ):
        unpacked(batch(ROWS, codec=codec))


def test_a_codec_whose_library_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr("kafka.codec.zstd", None)
    with pytest.raises(NotConfigured, match=r"offset 40 is compressed with zstd.*pip install 'koboshi\[kafka\]'"):
        unpacked(batch(ROWS, codec=4))


def flipped(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (flipped(batch(ROWS), 90), "checksum"),
        (framed(b"no zstd", ROWS, 4), "not zstd"),
        (framed(b"no gzip", ROWS, 1), "not gzip"),
        (framed(b"no snappy", ROWS, 2), "not snappy"),
        (framed(b"no lz4", ROWS, 3), "not lz4"),
        (framed(record_batches.records(ROWS)[:-1], ROWS), "ends behind"),
        (framed(record_batches.records(ROWS) + b"x", ROWS), "1 bytes stand behind"),
        (framed(record_batches.records([ROWS[1], ROWS[0]]), ROWS[:2]), "offset 39 stands between 40 and 41"),
        (framed(record_batches.records(ROWS), ROWS, last=44), "offset 45 stands between 41 and 44"),
        (framed(b"\x10\0\0\0\x01\x01\x01\x01\x01", ROWS[:1]), "-1 headers"),
        (framed(b"\x14\0\0\0\x01\x01\x02\x01\x01\0\0", ROWS[:1]), "no name"),
        (framed(b"\x10\0\0\0" + b"\xff" * 10, ROWS[:1]), "longer than 64 bits"),
    ],
)
def test_bytes_that_are_no_records_are_refused_with_their_offset(data, why):
    """The batch before is handed out, the fetch is over, and the next one begins at the batch, and fails."""
    found, fetch = unpacked(batch([row(39)]) + data, 39)
    assert (rows(found), fetch.next_fetch_offset, bool(fetch)) == ([row(39)], 40, False)
    with pytest.raises(Corrupt, match=f"^t/3: the batch at offset 40 is broken on the broker .*{why}"):
        unpacked(data, 40)


NAMES = st.text(st.characters(codec="utf-8"), max_size=5)
BYTES = st.binary(max_size=6)
HEADERS = st.lists(st.tuples(NAMES, st.none() | BYTES), max_size=3)
RECORDS = st.lists(
    st.tuples(st.integers(0, 2**41), st.none() | BYTES, st.none() | BYTES, HEADERS), min_size=1, max_size=5
)


@given(st.lists(RECORDS, min_size=1, max_size=3), st.sampled_from(sorted(CODECS.values())), st.integers(0, 20))
def test_where_kafka_python_can_read_both_read_the_same(batches, codec, start):
    """The reference for everything but names that are not UTF-8, with batches of kafka-python's own making."""
    data, offset = b"", 0
    for written in batches:
        builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 20)
        for timestamp_ms, key, value, headers in written:
            builder.append(timestamp_ms, key, value, headers)
        builder.close()
        data += struct.pack(">q", offset) + bytes(builder.buffer())[8:]
        offset += len(written)
    ours, fetch = unpacked(data, start)
    theirs, reference = unpacked(data, start, Fetcher.PartitionRecords)
    as_text = [one._replace(headers=[(name.decode(), value) for name, value in one.headers]) for one in ours]
    assert rows(as_text) == rows(theirs)
    assert [one[:3] for one in ours] == [one[:3] for one in theirs]
    assert fetch.next_fetch_offset == reference.next_fetch_offset


@pytest.mark.parametrize("magic", [0, 1])
def test_message_formats_without_headers_are_read(magic):
    """Old segments of a log, from before Kafka 0.11."""
    builder = MemoryRecordsBuilder(magic=magic, compression_type=1, batch_size=1 << 20)
    for number in range(3):
        builder.append(1_000 + number, b"k", b"v%d" % number)
    builder.close()
    found = rows(unpacked(bytes(builder.buffer()))[0])
    times = [-1, -1, -1] if magic == 0 else [1_000, 1_001, 1_002]
    assert found == [(number, times[number], b"k", b"v%d" % number, []) for number in range(3)]


def test_a_consumer_is_given_this_reader():
    consumer = type("Consumer", (), {"_fetcher": type("Fetcher", (), {})()})()
    kafka_records.keep_header_names(consumer)
    assert consumer._fetcher.PartitionRecords is RawPartitionRecords
    assert Fetcher.PartitionRecords is not RawPartitionRecords


def test_an_unknown_codec_of_an_old_message_format_is_named_with_its_offset():
    """The codec is the lowest three bits of the attributes, behind offset, size, checksum and format."""
    builder = MemoryRecordsBuilder(magic=1, compression_type=1, batch_size=1 << 20)
    builder.append(1_000, b"k", b"v")
    builder.close()
    message = bytearray(builder.buffer())
    message[17] = message[17] & ~0x07 | 6
    message[12:16] = struct.pack(">I", zlib.crc32(message[16:]))
    with pytest.raises(BadInput, match=r"^t/3: the batch at offset 0 is compressed with codec 6, .*gzip, snappy"):
        unpacked(bytes(message))
