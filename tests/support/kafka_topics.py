"""Topics of a test's own on a real broker."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from tests.support.memory_stream import Record

KEPT_FOR_EVER = {"retention.ms": "-1"}
# A file is closed by a record that is a second younger, and what is in it may be compacted at once.
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


def new_name(what: str) -> str:
    """A topic name that nobody has used."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


@contextmanager
def admin_of(bootstrap_servers: str) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        yield admin
    finally:
        admin.close()


def make(bootstrap_servers: str, topic: str, partitions: int, configs: Mapping[str, str] = KEPT_FOR_EVER) -> None:
    with admin_of(bootstrap_servers) as admin:
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        admin.create_topics({topic: wanted}, wait_for_metadata=True)


def configure(bootstrap_servers: str, topic: str, configs: Mapping[str, str]) -> None:
    with admin_of(bootstrap_servers) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])


def hurry_the_cleaner(bootstrap_servers: str) -> None:
    """Let the broker look for what can be compacted ten times a second, not every fifteen seconds, from now on.

    Its cleaner is started anew by that, and the old one's buffer of 128 MB is still there then: so it gets a small one.
    """
    wanted = {"log.cleaner.backoff.ms": "100", "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024)}
    with admin_of(bootstrap_servers) as admin:
        [broker] = admin.describe_cluster()["brokers"]
        admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, str(broker["broker_id"]), wanted)])


def compact(bootstrap_servers: str, topic: str, left: int) -> None:
    """Begin the next file of partition 0 with one more record, and wait until no more than `left` records are there."""
    with producer_of(bootstrap_servers) as producer:
        producer.send(topic, b"last", b"last", partition=0)
    hurry_the_cleaner(bootstrap_servers)
    for _ in range(100):
        if len(_offsets_in(bootstrap_servers, topic)) <= left:
            return
    raise AssertionError(f"{topic} was not compacted")


def _offsets_in(bootstrap_servers: str, topic: str) -> list[int]:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    try:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        end, found = consumer.end_offsets([partition])[partition], list[int]()
        while consumer.position(partition) < end:
            found += [record.offset for record in consumer.poll(timeout_ms=100).get(partition, [])]
        return found
    finally:
        consumer.close()


def delete(bootstrap_servers: str, topic: str) -> None:
    """Delete a topic, and wait until it is gone."""
    with admin_of(bootstrap_servers) as admin:
        admin.delete_topics([topic])
        for _ in range(1_000):
            if topic not in admin.list_topics():
                return
    raise AssertionError(f"{topic} is still there")


def expire(bootstrap_servers: str, topic: str, partition: int, start: int) -> None:
    """Delete the records before `start`, as retention does."""
    with admin_of(bootstrap_servers) as admin:
        admin.delete_records({TopicPartition(topic, partition): start})


@contextmanager
def producer_of(bootstrap_servers: str, **options: object) -> Iterator[KafkaProducer]:
    if "transactional_id" in options:  # a broker aborts what is open after a minute, which a busy machine may need
        options = {"transaction_timeout_ms": 600_000, **options}
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=50, **options)
    try:
        yield producer
        producer.flush()
    finally:
        producer.close()


def write(producer: KafkaProducer, topic: str, partition: int, rows: Iterable[Record]) -> None:
    """Send records with everything but their offsets; names of headers have to be UTF-8 here, and values not null."""
    for _, timestamp_ms, key, value, headers in rows:
        producer.send(topic, value, key, [(name.decode(), held) for name, held in headers], partition, timestamp_ms)
    producer.flush()


def committed_values(bootstrap_servers: str, topic: str) -> list[bytes]:
    """The values of all committed records of a topic."""
    options = {"enable_auto_commit": False, "isolation_level": "read_committed"}
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, **options)
    try:
        partitions = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends, found = consumer.end_offsets(partitions), list[bytes]()
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            found += [record.value for batch in consumer.poll(timeout_ms=100).values() for record in batch]
        return found
    finally:
        consumer.close()
