"""What the lander may expect of a source, and the audit of a broker: one suite, on Kafka and on a stream in memory."""

import time
import uuid

import pytest

from koboshi.datasets import span_records
from koboshi.datasets.pinning import pin
from koboshi.errors import BadInput, Conflict
from koboshi.formats.records import Records
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.kafka_source import KafkaSource
from koboshi.ingest.landing import Lander, repair_topic
from koboshi.ledger import Ledger, spans
from koboshi.refs import SpanRange
from tests.support import kafka_topics, record_batches
from tests.support.memory_stream import MemoryBroker, MemoryStream, record

LENGTHS = (30, 0)
ROWS = [record(offset) for offset in range(LENGTHS[0])]


KEPT_KEYS = [b"key %d" % number for number in range(5)]
KEYED = [(n, 1_529_280_000_000, KEPT_KEYS[n % 5], b"value %d" % n, []) for n in range(100)]


class InMemory:
    """The stream in memory, and what can be done to it."""

    def __init__(self):
        self.stream = MemoryStream()
        self.source = self.stream
        self.broker = MemoryBroker(self.stream)

    def make(self, topic):
        self.stream.make(topic, 0, 0)
        self.stream.partitions[topic][0] += ROWS

    def delete(self, topic):
        del self.stream.ids[topic]

    def expire(self, topic, start):
        self.stream.expire(topic, 0, start)

    def make_compacted(self, topic):
        self.stream.make(topic, 0)
        self.stream.partitions[topic][0] += KEYED
        self.stream.compacted.add(topic)

    def compact(self, topic):
        self.stream.partitions[topic][0].append((len(KEYED), 0, b"last", b"last", []))
        self.stream.compact(topic, 0, before=len(KEYED))

    def stop_compacting(self, topic):
        self.stream.compacted.remove(topic)


class OnKafka:
    """The same on a real broker."""

    def __init__(self, servers):
        from koboshi.ingest.confluent_audit import ConfluentBroker

        self.servers = servers
        self.source = KafkaSource(servers)
        self.broker = ConfluentBroker(servers)

    def make(self, topic):
        kafka_topics.make(self.servers, topic, len(LENGTHS))
        record_batches.send(self.servers, topic, 0, record_batches.batch(ROWS))

    def delete(self, topic):
        kafka_topics.delete(self.servers, topic)

    def expire(self, topic, start):
        kafka_topics.expire(self.servers, topic, 0, start)

    def make_compacted(self, topic):
        kafka_topics.make(self.servers, topic, 1, kafka_topics.COMPACTED)
        with kafka_topics.producer_of(self.servers) as producer:
            kafka_topics.write(producer, topic, 0, KEYED)

    def compact(self, topic):
        kafka_topics.compact(self.servers, topic, len(KEPT_KEYS) + 1)

    def stop_compacting(self, topic):
        kafka_topics.configure(self.servers, topic, {"cleanup.policy": "delete"})


@pytest.fixture(scope="module", params=["memory", pytest.param("kafka", marks=pytest.mark.parts)])
def world(request):
    if request.param == "memory":
        yield InMemory()
        return
    servers = request.getfixturevalue("stack_of")("kafka").settings.kafka.bootstrap_servers
    world = OnKafka(servers)
    yield world
    world.source.close()
    world.broker.close()


@pytest.fixture(scope="module")
def topic(world):
    name = kafka_topics.new_name("contract")
    world.make(name)
    return name


def read(source, topic, start, end):
    rows = []
    for batch in source.read(SpanRange(topic, source.topic_id(topic), 0, start, end)):
        columns = batch.offsets, batch.timestamps_ms, batch.keys, batch.values, batch.headers
        rows += zip(*columns, strict=True)
    return rows


def test_logs_tell_what_can_be_read_of_each_partition(world, topic):
    found = [(log.topic, log.partition, log.start, log.end) for log in world.source.logs(topic)]
    assert found == [(topic, 0, 0, len(ROWS)), (topic, 1, 0, 0)]


def test_lander_and_audit_agree_on_the_topics_identity(world, topic):
    assert {log.topic_id for log in world.source.logs(topic)} == {world.source.topic_id(topic)}
    assert str(world.broker.topic_id(topic)) == world.source.topic_id(topic)


@pytest.mark.parametrize(("start", "end"), [(0, len(ROWS)), (0, 1), (3, 11), (len(ROWS) - 1, len(ROWS))])
def test_exactly_the_range_is_read_as_it_was_written(world, topic, start, end):
    """Both readers: offset, timestamp, key, value and headers; nothing before, nothing behind."""
    assert read(world.source, topic, start, end) == ROWS[start:end]
    assert list(world.broker.records(topic, 0, start, end)) == ROWS[start:end]


def test_a_range_can_be_read_again(world, topic):
    assert read(world.source, topic, 5, 15) == read(world.source, topic, 5, 15)


def test_what_is_there_is_read_without_waiting_for_more(world, topic):
    """Twenty ranges up to the log's end: waiting a second for each to fill a batch would take twenty."""
    began = time.monotonic()
    for _ in range(20):
        assert len(list(world.broker.records(topic, 0, 0, len(ROWS)))) == len(ROWS)
    assert time.monotonic() - began < 10


def test_an_unknown_topic_is_said(world):
    for ask in (world.source.logs, world.source.topic_id):
        with pytest.raises(BadInput, match="nowhere"):
            ask("nowhere")
    assert world.broker.topic_id("nowhere") is None


def test_deleted_offsets_are_refused_and_never_skipped(world):
    """A reset of the offset would be a silent gap."""
    name = kafka_topics.new_name("expired")
    world.make(name)
    world.expire(name, 10)
    assert (world.source.logs(name)[0].start, world.broker.first_offset(name, 0)) == (10, 10)
    with pytest.raises(Conflict):
        read(world.source, name, 9, 20)
    assert read(world.source, name, 10, 20) == ROWS[10:20] == list(world.broker.records(name, 0, 10, 20))


def test_a_compacted_topic_is_landed_audited_and_pinned_before_and_after(world, tmp_path):
    """Counted, and no difference; the next landing follows on; a lost file cannot come from the broker again.

    The control is the same topic, once it is no longer compacted: what only we hold is a difference then.
    """
    name = kafka_topics.new_name("compacted")
    world.make_compacted(name)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    lander = Lander(ledger, world.source, tmp_path, "us")

    def audited():
        [verdict] = audit_topic(world.broker, tmp_path, spans.committed(ledger, name), spans.beginnings(ledger, name))
        return verdict.outcome, verdict.records, verdict.no_longer_on_broker, verdict.offset

    [first] = lander.land_topic(name)
    assert audited() == ("equal", 100, 0, None)
    world.compact(name)
    assert audited() == ("no longer on the broker", 100, 95, None)
    assert [span.records for span in lander.land_topic(name)] == [1]
    assert audited() == ("no longer on the broker", 101, 95, None)
    pinned, _ = pin(ledger, tmp_path, [name], tmp_path / "cut.json")
    assert sum(len(batch.offsets) for batch in span_records.read(ledger, tmp_path, pinned)) == 101
    (tmp_path / first.path).rename(tmp_path / "kept")
    with pytest.raises(Conflict, match="the broker gives other records than were landed"):
        list(repair_topic(lander, name))
    (tmp_path / "kept").rename(tmp_path / first.path)
    world.stop_compacting(name)
    assert audited() == ("different", 101, 0, 0)
    ledger.close()


def test_a_record_that_was_never_in_a_compacted_topic_is_found(world, tmp_path):
    """The control: compaction keeps the newest record of each key, and the broker is read to its end for one."""
    name = kafka_topics.new_name("invented")
    world.make_compacted(name)
    world.compact(name)

    class Inventing:
        """The source, and a record more where the broker has a hole."""

        def __getattr__(self, asked):
            return getattr(world.source, asked)

        def read(self, span):
            yield Records([0], [0], [b"invented"], [b"v"], [[]])
            yield from world.source.read(span)

    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    Lander(ledger, Inventing(), tmp_path, "us").land_topic(name)
    [verdict] = audit_topic(world.broker, tmp_path, spans.committed(ledger, name), spans.beginnings(ledger, name))
    assert (verdict.outcome, verdict.offset) == ("different", 0)
    assert "neither this record nor a later one of its key" in verdict.detail
    ledger.close()


def test_a_compacted_topic_is_told_from_others(world, topic):
    assert not world.broker.is_compacted(topic)


def test_a_topic_made_again_has_another_identity(world):
    name = kafka_topics.new_name("again")
    world.make(name)
    before = world.source.topic_id(name)
    world.delete(name)
    world.make(name)
    assert world.source.topic_id(name) != before
    assert world.broker.topic_id(name) != uuid.UUID(before)
