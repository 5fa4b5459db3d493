"""Whatever a broker sends is records, or refused in a sentence that names the offset: no other exception."""

import random

from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords

from koboshi.errors import Permanent
from koboshi.ingest.kafka_records import RawPartitionRecords
from tests.support.fuzzing import fuzzed
from tests.support.record_batches import batch, framed, records

PLAIN, ATTRIBUTES = st.just(0), st.integers(-(2**15), 2**15 - 1)
# One number is drawn for a whole batch: to draw each part costs Hypothesis ten times as much as to read the batch.
CHANCE = st.integers(0, 2**64 - 1).map(random.Random)
PLACE = TopicPartition("t", 0)


def some_rows(chance, first=0):
    """A few rows, between which others were compacted away."""
    return [(first + 2 * number, chance.getrandbits(40), *some(chance)) for number in range(chance.randint(1, 4))]


def some(chance):
    """A key, a value and headers."""
    headers = [(chance.randbytes(chance.randint(0, 8)), nullable(chance)) for _ in range(chance.randint(0, 3))]
    return nullable(chance), nullable(chance), headers


def nullable(chance):
    return None if chance.random() < 0.2 else chance.randbytes(chance.randint(0, 8))


@fuzzed
@given(CHANCE)
def test_a_batch_with_a_few_bytes_changed_is_records_or_refused(chance):
    """The checksum fits: a producer or a proxy has sent it so."""
    rows = some_rows(chance)
    changed = bytearray(records(rows))
    for _ in range(chance.randint(1, 3)):
        changed[chance.randrange(len(changed))] = chance.getrandbits(8)
    unpack(framed(bytes(changed), rows))


@fuzzed
@given(st.binary(max_size=60), PLAIN | ATTRIBUTES, st.integers(-1, 50), st.integers(-1, 3))
def test_any_payload_under_any_attributes_is_records_or_refused(payload, attributes, last, producer):
    """Codecs with bytes that are none of theirs, codecs that do not exist, marks of transactions that say nothing."""
    unpack(framed(payload, [(0, 5, None, None, [])], attributes, producer, last))


@fuzzed
@given(st.binary(max_size=120), st.integers(0, 60))
def test_any_fetch_is_records_or_refused(tail, cut):
    """Also one that ends within a batch: its rest comes with the next fetch."""
    unpack(batch([(0, 5, b"k", b"v", [])])[: 60 - cut] + tail)


@fuzzed
@given(CHANCE)
def test_what_was_sent_comes_back(chance):
    """In each codec."""
    first = chance.getrandbits(40)
    rows = some_rows(chance, first)
    found = unpack(batch(rows, codec=chance.randint(0, 4)), first)
    assert [(one.offset, one.timestamp, one.key, one.value, one.headers) for one in found] == rows


def unpack(data, start=0):
    fetch = RawPartitionRecords(start, PLACE, MemoryRecords(data), isolation_level=IsolationLevel.READ_COMMITTED)
    try:
        return fetch.take()
    except Permanent as error:
        refused = str(error)
    assert refused.startswith("t/0: the batch at offset ")
    assert not fetch
    return []
