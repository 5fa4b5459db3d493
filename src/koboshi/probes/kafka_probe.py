"""Kafka's health: a record is produced and read again."""

import time
import uuid
from contextlib import closing

from koboshi.probes import Health

TOPIC = "koboshi-probe"
TOPIC_CONFIG = {"retention.ms": "60000", "segment.ms": "60000"}


def probe_kafka(bootstrap_servers: str, limit_s: float = 15.0) -> Health:
    """Produce a record that nobody else has and read it back from its offset. The topic keeps records for a minute."""
    from kafka.errors import KafkaError

    begun, value = time.monotonic(), uuid.uuid4().bytes
    try:
        _ensure_topic(bootstrap_servers, limit_s)
        offset = _produce(bootstrap_servers, value, limit_s)
        found = _read(bootstrap_servers, offset, limit_s)
    except (KafkaError, OSError) as error:
        return Health(False, f"no record came through ({type(error).__name__}: {error})"[:200])
    if found != value:
        return Health(False, f"the record at offset {offset} of {TOPIC} is not the one that was produced there")
    return Health(True, f"a record produced and read in {time.monotonic() - begun:.1f} s")


def _ensure_topic(bootstrap_servers: str, limit_s: float) -> None:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import TopicAlreadyExistsError

    timeout_ms, options = int(limit_s * 1000), {"num_partitions": 1, "replication_factor": -1, "configs": TOPIC_CONFIG}
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=timeout_ms)) as admin:
        try:
            if TOPIC not in admin.list_topics():
                admin.create_topics({TOPIC: options}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            admin.wait_for_topics([TOPIC])


def _produce(bootstrap_servers: str, value: bytes, limit_s: float) -> int:
    from kafka import KafkaProducer

    limit_ms = int(limit_s * 1000)
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=limit_ms, max_block_ms=limit_ms)
    try:
        return int(producer.send(TOPIC, value=value, partition=0).get(timeout=limit_s).offset)
    finally:
        producer.close(timeout=1)


def _read(bootstrap_servers: str, offset: int, limit_s: float) -> bytes | None:
    from kafka import KafkaConsumer, TopicPartition

    partition = TopicPartition(TOPIC, 0)
    waits = {"bootstrap_servers": bootstrap_servers, "bootstrap_timeout_ms": int(limit_s * 1000)}
    with closing(KafkaConsumer(enable_auto_commit=False, auto_offset_reset="none", **waits)) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        records = consumer.poll(timeout_ms=int(limit_s * 1000), max_records=1).get(partition, [])
        return records[0].value if records and records[0].offset == offset else None
