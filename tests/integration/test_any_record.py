"""Records of every codec, with any header name, on a real broker: landed as they are, equal to it by another client."""

import dataclasses
import json
import struct

import polars as pl
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from crc32c import crc32c

from koboshi.errors import BadInput, Conflict, NotConfigured
from koboshi.ingest.audit import Comparison, compare
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.kafka_source import KafkaSource
from koboshi.ledger import Ledger, spans
from koboshi.project.kafka_stream import KafkaStream, Stream
from koboshi.refs import SpanRange
from pipelines.topics import TOPICS
from tests.support import kafka_topics, record_batches
from tests.support.record_batches import CODECS, batch

pytestmark = pytest.mark.parts

NOT_UTF8 = [(b"\xff\xfe", b"x"), (b"a", b"1"), (b"a", b"2"), (b"none", None), (b"", b"")]
TEXT = [("a", b"1"), ("a", b"2"), ("\u00fc", None), ("", b"")]
# More than a few of each kind: only what is called often does CPython compile, and one client dies of a name then.
EACH = 30
HEAD = struct.Struct(">qiibIh")


@pytest.fixture(scope="module")
def stack(stack_of):
    return stack_of("kafka")


@pytest.fixture
def topic(stack):
    name = kafka_topics.new_name("any")
    kafka_topics.make(stack.settings.kafka.bootstrap_servers, name, 1)
    return name


def produce(servers, topic, codec):
    """Records in one codec by librdkafka's producer, and what they are."""
    producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "linger.ms": 100})
    values = [b"%s %d " % (codec.encode(), number) + b"v" * 100 for number in range(EACH)]
    for number, value in enumerate(values):
        producer.produce(topic, value, b"k", 0, timestamp=number + 1, headers=TEXT)
    assert producer.flush(20) == 0
    headers = [(name.encode(), value) for name, value in TEXT]
    return [(number + 1, b"k", value, headers) for number, value in enumerate(values)]


def by_hand(servers, topic, codec):
    """Records with names that no producer at hand would send, and what they are."""
    rows = [(number, number, None, b"%d" % number + b"v" * 100, NOT_UTF8) for number in range(EACH)]
    record_batches.send(servers, topic, 0, batch(rows, codec=codec))
    return [row[1:] for row in rows]


def abort(servers, topic, codec):
    with kafka_topics.producer_of(servers, transactional_id=topic, compression_type=codec) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        kafka_topics.write(producer, topic, 0, [(0, 5, b"k", b"aborted" * 30, [])] * EACH)
        producer.abort_transaction()


def landed(stack, topic):
    """The committed records without their offsets, from the files."""
    ledger = Ledger(stack.settings.ledger_url)
    files = [stack.settings.state_dir / span.path for span in spans.committed(ledger, topic)]
    ledger.close()
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return [
        (row["timestamp_ms"], row["key"], row["value"], [(one["name"], one["value"]) for one in row["headers"]])
        for row in rows
    ]


def test_every_codec_and_any_header_name_is_landed_as_it_is_and_equal_to_the_broker(stack, topic):
    """Names that are not UTF-8, doubled or empty, values that are null; an aborted transaction beside them."""
    servers, expected = stack.settings.kafka.bootstrap_servers, []
    for name, number in CODECS.items():
        expected += produce(servers, topic, name)
        expected += by_hand(servers, topic, number)
    abort(servers, topic, "zstd")
    expected += by_hand(servers, topic, CODECS["zstd"])
    stack.run("ingest", "run", "--topic", topic, "--span-records", "70")
    assert landed(stack, topic) == expected
    [verdict] = json.loads(stack.run("ingest", "audit", "--json", "--topic", topic).stdout)
    assert (verdict["outcome"], verdict["records"]) == ("equal", len(expected))


def test_a_stream_says_that_another_program_wrote_last_whatever_names_its_headers_have(stack):
    """It reads the last record of each partition to go on from there; nothing is sent."""
    servers, prefix = stack.settings.kafka.bootstrap_servers, f"{kafka_topics.new_name('others')}."
    schema = {"seq": pl.Int64, "topic": pl.Int8, "partition": pl.Int32}
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    ours = KafkaStream(servers, Stream("ours", pl.DataFrame(schema=schema), partitions), prefix)
    assert ours.remaining().is_empty()
    by_hand(servers, ours.topics[0], CODECS["zstd"])
    with pytest.raises(BadInput, match=f"offset {EACH - 1} of {ours.topics[0]}/0 is of another stream"):
        ours.remaining()


@pytest.fixture
def both(stack, topic):
    """A range of the topic as the lander reads it, and as the audit does."""
    servers = stack.settings.kafka.bootstrap_servers
    source, broker = KafkaSource(servers), ConfluentBroker(servers)

    def lander():
        span = SpanRange(topic, source.topic_id(topic), 0, 0, 2 * EACH)
        return [row for found in source.read(span) for row in zip(*dataclasses.astuple(found), strict=True)]

    yield lander, lambda: list(broker.records(topic, 0, 0, 2 * EACH))
    source.close()
    broker.close()


def test_a_name_that_is_not_utf8_and_differs_in_one_byte_is_seen_by_the_audit(stack, topic, both):
    """Names are compared as bytes: the broker's log gets another one after the landing."""
    by_hand(stack.settings.kafka.bootstrap_servers, topic, CODECS["none"])
    by_hand(stack.settings.kafka.bootstrap_servers, topic, CODECS["none"])
    lander, audit = both
    held = lander()
    assert compare(iter(held), iter(audit())) == Comparison()
    rewrite(stack, topic, lambda payload: payload.replace(b"\xff\xfe", b"\xff\xfd"))
    assert compare(iter(held), iter(audit())).differs_at == EACH


def test_a_record_that_is_deleted_before_its_odd_header_is_read_is_said(stack, topic):
    """Such a header is asked of the broker once more; retention may have been quicker."""
    servers = stack.settings.kafka.bootstrap_servers
    by_hand(servers, topic, CODECS["none"])
    broker = ConfluentBroker(servers)
    try:
        records = broker.records(topic, 0, 0, EACH)
        next(records)
        kafka_topics.expire(servers, topic, 0, EACH)
        broker._headers.close()
        with pytest.raises(Conflict, match="no longer has these offsets"):
            list(records)
    finally:
        broker.close()


def test_an_unknown_codec_is_permanent_for_lander_and_audit_which_name_codec_and_offset(stack, topic, both):
    """No broker takes it from a producer, so it is written into the log; also when the lander asks again."""
    by_hand(stack.settings.kafka.bootstrap_servers, topic, CODECS["gzip"])
    by_hand(stack.settings.kafka.bootstrap_servers, topic, CODECS["gzip"])
    rewrite(stack, topic, attributes=6)
    lander, audit = both
    for _ in range(2):
        with pytest.raises(BadInput, match=f"^{topic}/0: the batch at offset {EACH} is compressed with codec 6, which"):
            lander()
    with pytest.raises(NotConfigured, match=rf"\(codec 0x6\) of message at {EACH} of"):
        audit()


def test_a_batch_whose_checksum_does_not_fit_is_permanent_and_ends_the_verb_with_one_sentence(stack, topic):
    by_hand(stack.settings.kafka.bootstrap_servers, topic, CODECS["none"])
    rewrite(stack, topic, lambda payload: payload[:-1] + b"!", checked=False)
    done = stack.run("ingest", "run", "--topic", topic, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert f"{topic}/0: the batch at offset 0 is broken on the broker (its checksum does not fit)" in done.stderr


def rewrite(stack, topic, change=bytes, attributes=None, *, checked=True):
    """Change the last batch in the log's file, under the broker; with a checksum that fits, or not."""
    [path] = stack.settings.state_dir.rglob(f"{topic}-0/00000000000000000000.log")
    log = bytearray(path.read_bytes())
    place = end = 0
    while end < len(log):
        place, end = end, end + 12 + HEAD.unpack_from(log, end)[1]
    offset, size, epoch, magic, crc, kept = HEAD.unpack_from(log, place)
    rest = change(bytes(log[place + HEAD.size : end]))
    assert len(rest) == end - place - HEAD.size
    covered = struct.pack(">h", kept if attributes is None else attributes) + rest
    crc = crc32c(covered) if checked else crc
    log[place:end] = HEAD.pack(offset, size, epoch, magic, crc, 0)[:-2] + covered
    with path.open("r+b") as file:
        file.write(log)
