"""Topics and sample records for a first try: a topic is made, and filled once, whole or not at all."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from koboshi.broker_errors import from_librdkafka
from koboshi.errors import KoboshiError

PARTITIONS = 2
PATIENCE_S = 60.0


class SampleTopic:
    """One topic of a cluster."""

    def __init__(self, bootstrap_servers: str, name: str) -> None:
        """Nothing is asked yet."""
        self._servers, self._name = bootstrap_servers, name

    def make(self, partitions: int = PARTITIONS) -> bool:
        """Make the topic, unless it is there; whether it was made. Records stay for good: there is no retention."""
        config = {"retention.ms": "-1"}
        wanted = NewTopic(self._name, num_partitions=partitions, replication_factor=-1, config=config)
        admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        try:
            admin.create_topics([wanted], operation_timeout=PATIENCE_S)[self._name].result(PATIENCE_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise self._named(error) from error
        return True

    def fill(self, records: Iterable[tuple[str, bytes | str]]) -> int:
        """Send the records, unless the topic has some already; how many were sent.

        Key: the topic's name, as the producer's transactional id. Commit: the transaction, so that under a crash the
        topic has all records or none, and the next call ends what was left open. Raises `Unavailable`, `BadInput`.
        """
        try:
            producer = Producer(self._producer_config())
            producer.init_transactions(PATIENCE_S)
            if self._has_records():
                return 0
            producer.begin_transaction()
            sent = 0
            for key, value in records:
                self._send(producer, key, value)
                sent += 1
            producer.commit_transaction(PATIENCE_S)
        except KafkaException as error:
            raise self._named(error) from error
        return sent

    def _send(self, producer: Producer, key: str, value: bytes | str) -> None:
        while True:
            try:
                producer.produce(self._name, key=key, value=value)
            except BufferError:  # the client's queue is full
                producer.poll(1.0)
            else:
                producer.poll(0)
                return

    def _producer_config(self) -> dict[str, str | int]:
        return {
            "bootstrap.servers": self._servers,
            "transactional.id": f"koboshi-sample-{self._name}",
            "linger.ms": 50,
            "log_level": 0,
        }

    def _has_records(self) -> bool:
        """Whether any committed record is in the topic: offsets alone do not tell, an aborted transaction has some."""
        config = {"bootstrap.servers": self._servers, "group.id": "koboshi-sample", "enable.auto.commit": False}
        consumer = Consumer(
            {**config, "isolation.level": "read_committed", "enable.partition.eof": True, "log_level": 0}
        )
        try:
            found = consumer.list_topics(self._name, timeout=PATIENCE_S).topics[self._name].partitions
            consumer.assign([TopicPartition(self._name, partition, 0) for partition in found])
            ended = 0
            while ended < len(found):
                message = consumer.poll(PATIENCE_S)
                if message is not None and message.error() is None:
                    return True
                if message is not None and message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
                    continue
                raise self._named(KafkaException(message.error() if message else KafkaError(KafkaError._TIMED_OUT)))
            return False
        finally:
            consumer.close()

    def _named(self, error: KafkaException) -> KoboshiError:
        return from_librdkafka(error.args[0], self._servers, f"topic {self._name}")
