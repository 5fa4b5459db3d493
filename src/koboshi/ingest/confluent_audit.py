"""The broker as the audit reads it, through confluent-kafka (librdkafka): another client than the lander's."""

import time
import uuid
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource

from koboshi.broker_errors import from_librdkafka
from koboshi.errors import KoboshiError, Unavailable
from koboshi.ingest.audit import Record
from koboshi.ingest.confluent_headers import HeaderReader

BATCH = 10_000
WAIT_S = 1.0
# At the end of a log the broker holds a fetch back for so long, and with it the first fetch of the next partition.
FETCH_WAIT_MS = 20
UINT64 = 2**64 - 1


class ConfluentBroker:
    """A `koboshi.ingest.audit.Broker` on a Kafka cluster; `patience_s` bounds each wait for it."""

    def __init__(self, bootstrap_servers: str, patience_s: float = 20.0) -> None:
        self._servers, self._patience_s = bootstrap_servers, patience_s
        client = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        reading = {
            **client,
            "group.id": "koboshi-audit",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
        }
        self._admin = AdminClient(client)
        self._consumer = Consumer({**reading, "enable.partition.eof": True, "fetch.wait.max.ms": FETCH_WAIT_MS})
        self._headers = HeaderReader(reading, patience_s)

    def topic_id(self, topic: str) -> uuid.UUID | None:
        """The topic's id, or None when there is no such topic."""
        asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=self._patience_s)
        try:
            found = asked[topic].result().topic_id
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise self._error(topic, error.args[0]) from error
        high, low = found.get_most_significant_bits() & UINT64, found.get_least_significant_bits() & UINT64
        return uuid.UUID(int=high << 64 | low)

    def first_offset(self, topic: str, partition: int) -> int:
        """The first offset that can still be read."""
        try:
            low, _ = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._patience_s)
        except KafkaException as error:
            raise self._error(f"{topic}/{partition}", error.args[0]) from error
        return int(low)

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """All committed records with offsets in [start, end)."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(topic, partition, start)])
        for message in self._messages(f"{topic}/{partition}"):
            if message.offset() < end:
                headers = self._headers.of(message)
                yield message.offset(), message.timestamp()[1], message.key(), message.value(), headers
            if message.offset() >= end - 1:  # nothing of the range can come any more: the end of the log is not awaited
                break
        self._consumer.unassign()

    def is_compacted(self, topic: str) -> bool:
        """Whether the broker keeps only the newest record of each key of this topic."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        try:
            found = self._admin.describe_configs([resource], request_timeout=self._patience_s)[resource].result()
        except KafkaException as error:
            raise self._error(topic, error.args[0]) from error
        return "compact" in found["cleanup.policy"].value.split(",")

    def close(self) -> None:
        """Let go of the connections."""
        self._headers.close()
        self._consumer.close()

    def _messages(self, what: str) -> Iterator[Message]:
        """Messages up to the end of the log; no answer for `patience_s` raises `Unavailable`."""
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < self._patience_s:
            for message in self._arrived():
                if (error := message.error()) is None:
                    heard_at = time.monotonic()
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                    raise self._error(what, error)
        raise Unavailable(
            f"Kafka at {self._servers} does not answer ({what}: no record for {self._patience_s:.0f} s): see "
            "`koboshi status`, try again."
        )

    def _arrived(self) -> Iterator[Message]:
        """What has arrived: the first of it as soon as it is there, for `consume` waits until its batch is full."""
        if (first := self._consumer.poll(WAIT_S)) is not None:
            yield first
            yield from self._consumer.consume(BATCH, timeout=0)

    def _error(self, what: str, error: KafkaError) -> KoboshiError:
        return from_librdkafka(error, self._servers, what)
