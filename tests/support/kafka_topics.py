"""Topics of a test's own on a real broker."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from tests.support.memory_stream import Record


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


def make(bootstrap_servers: str, topic: str, partitions: int) -> None:
    with admin_of(bootstrap_servers) as admin:
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": {"retention.ms": "-1"}}
        admin.create_topics({topic: wanted}, wait_for_metadata=True)


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
