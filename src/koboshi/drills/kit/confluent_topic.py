"""A topic of a drill's own, made, filled and read with confluent-kafka: another client than the lander's."""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from koboshi.broker_errors import from_librdkafka
from koboshi.errors import KoboshiError, Unavailable
from koboshi.ingest.confluent_audit import ConfluentBroker

PATIENCE_S = 30.0
LARGEST_BYTES = 64 * 1024 * 1024
QUIET = {"log_level": 0}


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """A record that was handed to the broker: where it is now, or why it was refused."""

    partition: int
    offset: int
    refused: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class OwnTopic:
    """Its records are kept whatever their time; `close` deletes it."""

    bootstrap_servers: str
    name: str
    partitions: int
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def make(self) -> None:
        """Make the topic, and wait until it is there."""
        config = {"retention.ms": "-1", **self.settings}
        admin = self._admin()
        made = admin.create_topics([NewTopic(self.name, self.partitions, 1, config=config)])
        self._settle(made[self.name], "made")
        deadline = time.monotonic() + PATIENCE_S
        while len(self._known_partitions()) < self.partitions:
            if time.monotonic() > deadline:
                raise self._unavailable("was made, and is not there")
            time.sleep(0.05)

    def fill(self, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> list[Sent]:
        """Produce records (partition, key, value) with acks=all, and tell of each what became of it, in order."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "enable.idempotence": True,
                "message.max.bytes": LARGEST_BYTES,
                "linger.ms": 20,
                **QUIET,
            }
        )
        sent: dict[int, Sent] = {}
        for number, (partition, key, value) in enumerate(records):
            _produce(producer, self.name, partition, key, value, number, sent)
        if producer.flush(PATIENCE_S):
            raise self._unavailable("does not take all records")
        return [sent[number] for number in sorted(sent)]

    def ends(self) -> dict[int, int]:
        """For each partition the offset of the next record."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "koboshi-drill", **QUIET})
        try:
            places = [TopicPartition(self.name, partition) for partition in range(self.partitions)]
            return {place.partition: consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1] for place in places}
        except KafkaException as error:
            raise self._error("asked for its ends", error) from error
        finally:
            consumer.close()

    def id(self) -> str:
        """What the broker calls this topic, and no other one of its name."""
        broker = ConfluentBroker(self.bootstrap_servers)
        try:
            return str(broker.topic_id(self.name))
        finally:
            broker.close()

    def delete(self) -> None:
        """Delete the topic; one that is not there is no error."""
        admin = self._admin()  # its answers come only as long as it is held
        deleted = admin.delete_topics([self.name], operation_timeout=PATIENCE_S)
        self._settle(deleted[self.name], "deleted")

    def _known_partitions(self) -> Mapping[int, object]:
        try:
            found = self._admin().list_topics(timeout=PATIENCE_S).topics.get(self.name)
        except KafkaException as error:
            raise self._error("looked for", error) from error
        return found.partitions if found else {}

    def _settle(self, future: "Future[None]", what: str) -> None:
        try:
            future.result(PATIENCE_S)
        except TimeoutError as error:
            raise self._unavailable(f"was not {what} in {PATIENCE_S:.0f} s") from error
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise self._error(f"being {what}", error) from error

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, **QUIET})

    def _error(self, doing: str, error: KafkaException) -> KoboshiError:
        return from_librdkafka(error.args[0], self.bootstrap_servers, f"topic {self.name}, {doing}")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"topic {self.name} at {self.bootstrap_servers} {why}: see `koboshi status`, try again.")


def _produce(
    producer: Producer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    number: int,
    sent: dict[int, Sent],
) -> None:
    def delivered(error: KafkaError | None, message: Message) -> None:
        sent[number] = Sent(partition, -1 if error else message.offset(), error.name() if error else "")

    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            sent[number] = Sent(partition, -1, error.args[0].name())
            return
        else:
            producer.poll(0)
            return
