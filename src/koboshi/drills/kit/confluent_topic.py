"""A topic of a drill's own, made, filled and read with confluent-kafka: another client than the lander's."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from koboshi.broker_errors import from_librdkafka
from koboshi.drills.kit.watching import eventually
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
        if not eventually(lambda: len(self._known_partitions()) >= self.partitions, PATIENCE_S, look_s=0.05):
            raise self._unavailable("was made, and is not there")

    def fill(self, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> list[Sent]:
        """Produce records (partition, key, value) with acks=all, and tell of each what became of it, in order."""
        own = {"enable.idempotence": True, "message.max.bytes": LARGEST_BYTES, "linger.ms": 20}
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, **own, **QUIET})
        sent: dict[int, Sent] = {}
        for number, record in enumerate(records):
            self._produce(producer, record, partial(sent.__setitem__, number))
        if producer.flush(PATIENCE_S):
            raise self._unavailable("does not take all records")
        return [sent[number] for number in sorted(sent)]

    def _produce(
        self, producer: Producer, record: tuple[int, bytes | None, bytes | None], settle: Callable[[Sent], None]
    ) -> None:
        """Hand a record over; `settle` hears what became of it, as soon as that is known."""
        partition, key, value = record

        def delivered(error: KafkaError | None, message: Message) -> None:
            settle(Sent(partition, -1 if error else message.offset(), error.name() if error else ""))

        while True:
            try:
                producer.produce(self.name, value, key, partition, on_delivery=delivered)
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                return settle(Sent(partition, -1, error.args[0].name()))
            else:
                producer.poll(0)
                return None

    def ends(self) -> dict[int, int]:
        """For each partition the offset of the next record."""
        settings = {"bootstrap.servers": self.bootstrap_servers, "group.id": "koboshi-drill", **QUIET}
        places = [TopicPartition(self.name, partition) for partition in range(self.partitions)]
        try:
            with closing(Consumer(settings)) as consumer:
                return {place.partition: consumer.get_watermark_offsets(place, PATIENCE_S)[1] for place in places}
        except KafkaException as error:
            raise self._error("asked for its ends", error) from error

    def id(self) -> str:
        """What the broker calls this topic, and no other one of its name."""
        with closing(ConfluentBroker(self.bootstrap_servers)) as broker:
            return str(broker.topic_id(self.name))

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
