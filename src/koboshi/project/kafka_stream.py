"""Sends a stream to Kafka so that it can be interrupted anywhere and go on exactly where it was.

Idempotency key: the record's number in its stream and the stream's name, in its header `seq` (`1234@9f3c…`). Commit
point: the broker's acknowledgement. The next window of records is sent only when all of the last one are acknowledged,
so a partition never has a gap; after a crash its last record says which of its events are there already.
"""

import dataclasses
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import (
    InvalidProducerEpochError,
    KafkaError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceNumberError,
    TopicAlreadyExistsError,
    UnknownProducerIdError,
)

from koboshi.broker_errors import from_kafka_python
from koboshi.errors import BadInput, LeaseTaken, Unavailable
from koboshi.files import make_state_folder
from koboshi.ingest.kafka_records import keep_header_names

# A window is smaller than a batch of each partition: a partition's records of a window arrive together or not at all.
WINDOW_RECORDS = 10_000
BATCH_BYTES = 1_000_000
PATIENCE_S = 60
# A broker that was restarted is found again after a second, not after half a minute.
RECONNECT_MS = 1_000
# The broker has lost what it knew of an idempotent producer: a new one goes on.
PRODUCER_FORGOTTEN = (OutOfOrderSequenceNumberError, UnknownProducerIdError, InvalidProducerEpochError)
# Retention goes by record time: at the default of a week, events of years ago would be deleted within minutes.
TOPIC_CONFIG = {"retention.ms": "-1"}
CANNOT_GO_ON = (
    "so what is missing cannot be told: choose another --topic-prefix, or delete the topics and their landed spans."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """Events to send, in order: `seq, topic (index into topics), partition, key, value, timestamp_ms`.

    `topics` has how many partitions each topic has. `name` is a digest of what the events follow from; records carry
    it, so that two streams do not mix in one topic.
    """

    name: str
    events: pl.DataFrame
    topics: Mapping[str, int]


@contextmanager
def only_stream(state_dir: Path) -> Iterator[None]:
    """Keep a second stream of this project out; the system lets go of the lock when the process dies."""
    make_state_folder(state_dir)
    try:
        held = FileLock(state_dir / "stream.lock").acquire(blocking=False)
    except Timeout:
        raise LeaseTaken("another `koboshi stream` is running: wait for its end, or stop it.") from None
    with held:
        yield


@dataclasses.dataclass(frozen=True, slots=True)
class KafkaStream:
    """A stream on its way to a cluster. `prefix` stands before the topics' names, to keep a trial apart."""

    bootstrap_servers: str
    stream: Stream
    prefix: str = ""

    @property
    def topics(self) -> list[str]:
        """The topics' names, by their index in the events."""
        return [self.prefix + name for name in self.stream.topics]

    def _wanted(self) -> Iterator[tuple[str, int]]:
        """The topics' names, and how many partitions the stream needs of each."""
        return zip(self.topics, self.stream.topics.values(), strict=True)

    def remaining(self) -> pl.DataFrame:
        """The events that are not in Kafka yet. Makes the topics that are missing, once what is there fits."""
        with self.errors(), self._admin() as admin:
            partitions = self._partitions(admin)
            last = self._last_records(partitions)
            events = self._without_sent(last)
            self._create_topics(admin, [name for name in self.topics if name not in partitions])
            return events

    def _without_sent(self, last: dict[tuple[int, int], ConsumerRecord]) -> pl.DataFrame:
        sent = [(topic, partition, _last_seq(self.stream, record)) for (topic, partition), record in last.items()]
        schema = {"topic": pl.Int8, "partition": pl.Int32, "sent": pl.Int64}
        places = pl.DataFrame(sent, schema, orient="row")
        events = self.stream.events.join(places, on=["topic", "partition"], how="left", maintain_order="left")
        _check_complete(events.filter(pl.col("seq") <= pl.col("sent")), last)
        return events.filter(pl.col("seq") > pl.col("sent").fill_null(-1)).drop("sent")

    def send(self, events: pl.DataFrame, rate: float | None, sent: Callable[[int], None]) -> None:
        """Send events in order, at most `rate` a second, and tell `sent` how many more are acknowledged."""
        window = WINDOW_RECORDS if rate is None else max(1, min(WINDOW_RECORDS, int(rate / 4)))
        began = time.monotonic()
        with self.errors(), self._producer() as producer:
            for start in range(0, len(events), window):
                self._send_window(producer, events[start : start + window])
                sent(min(window, len(events) - start))
                _keep_pace(began, start + window, rate)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise Kafka's errors as ours: `Unavailable` where the same command heals them, else a permanent error."""
        try:
            yield
        except PRODUCER_FORGOTTEN as error:
            raise Unavailable(
                f"Kafka at {self.bootstrap_servers} no longer knows this producer ({type(error).__name__}): run the "
                "same command again, and the stream goes on where it was."
            ) from error
        except KafkaError as error:
            raise from_kafka_python(error, self.bootstrap_servers, "the stream") from error

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, reconnect_backoff_max_ms=RECONNECT_MS)
        try:
            yield admin
        finally:
            admin.close()

    @contextmanager
    def _producer(self) -> Iterator[KafkaProducer]:
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            max_in_flight_requests_per_connection=1,
            batch_size=BATCH_BYTES,
            max_request_size=16 * BATCH_BYTES,
            linger_ms=1_000,
            delivery_timeout_ms=PATIENCE_S * 1_000,
            reconnect_backoff_max_ms=RECONNECT_MS,
            metrics_enabled=False,
        )
        try:
            yield producer
        finally:
            producer.close(timeout=1)

    def _send_window(self, producer: KafkaProducer, events: pl.DataFrame) -> None:
        """Send, and return when all are acknowledged; raise the first failure otherwise."""
        topics, name = self.topics, self.stream.name.encode()
        columns = events.select("seq", "topic", "partition", "key", "value", "timestamp_ms")
        futures = [
            producer.send(
                topics[topic],
                value=value,
                key=key,
                partition=partition,
                timestamp_ms=timestamp_ms,
                headers=[("seq", b"%d@%b" % (seq, name))],
            )
            for seq, topic, partition, key, value, timestamp_ms in columns.iter_rows()
        ]
        producer.flush(timeout=PATIENCE_S * 2)
        # A record that the broker refuses fails its whole batch, and the error of the others says no more than that.
        for future in sorted(futures, key=lambda future: type(future.exception) is KafkaError):
            future.get(timeout=0)

    def _partitions(self, admin: KafkaAdminClient) -> dict[str, int]:
        """How many partitions each topic has that is there; raises `BadInput` where a topic has too few."""
        there = set(admin.list_topics()) & set(self.topics)
        found = admin.describe_topics(sorted(there)) if there else []
        partitions = {topic["name"]: len(topic["partitions"]) for topic in found}
        for name, wanted in self._wanted():
            if partitions.get(name, wanted) < wanted:
                raise BadInput(
                    f"topic {name} has {partitions[name]} partitions, and this stream needs {wanted}: choose "
                    "another --topic-prefix, or delete the topic so that it is made anew."
                )
        return partitions

    def _create_topics(self, admin: KafkaAdminClient, names: list[str]) -> None:
        wanted = {
            name: {"num_partitions": partitions, "replication_factor": -1, "configs": TOPIC_CONFIG}
            for name, partitions in self._wanted()
            if name in names
        }
        try:
            if wanted:
                admin.create_topics(wanted, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            admin.wait_for_topics(self.topics)

    def _last_records(self, there: Container[str]) -> dict[tuple[int, int], ConsumerRecord]:
        """The newest record of each (topic, partition) that has any, of the topics that are there."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            reconnect_backoff_max_ms=RECONNECT_MS,
        )
        try:
            index = {
                TopicPartition(name, partition): (number, partition)
                for number, (name, partitions) in enumerate(self._wanted())
                for partition in range(partitions)
                if name in there
            }
            keep_header_names(consumer)
            ends = consumer.end_offsets(list(index))
            return {index[tp]: _read_one(consumer, tp, end - 1) for tp, end in ends.items() if end > 0}
        finally:
            consumer.close()


def _read_one(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> ConsumerRecord:
    consumer.assign([partition])
    consumer.seek(partition, offset)
    deadline = time.monotonic() + PATIENCE_S
    where = f"offset {offset} of {partition.topic}/{partition.partition}"
    while time.monotonic() < deadline:
        try:
            polled = consumer.poll(timeout_ms=1_000, max_records=1).get(partition, [])
        except OffsetOutOfRangeError:
            raise BadInput(f"{where} is no longer on the broker, {CANNOT_GO_ON}") from None
        if polled:
            return polled[0]
        if consumer.position(partition) > offset:
            raise BadInput(f"{where} is the end of a transaction, which is none of this stream's, {CANNOT_GO_ON}")
    raise Unavailable(f"{where} cannot be read within {PATIENCE_S} s: see `koboshi status`, then try again.")


def _last_seq(stream: Stream, record: ConsumerRecord) -> int:
    number, _, name = (dict(record.headers).get(b"seq") or b"").partition(b"@")
    if name != stream.name.encode() or not number.isdigit():
        raise BadInput(
            f"offset {record.offset} of {record.topic}/{record.partition} is of another stream (other options, or "
            "another program): repeat the options that began it, or delete the topics and their landed spans first."
        )
    return int(number)


def _check_complete(sent: pl.DataFrame, last: dict[tuple[int, int], ConsumerRecord]) -> None:
    """A partition holds exactly the events up to its last one, or somebody else has written to it."""
    counts = {(topic, partition): n for topic, partition, n in sent.group_by("topic", "partition").len().iter_rows()}
    for place, record in last.items():
        if counts.get(place, 0) != record.offset + 1:
            raise BadInput(
                f"{record.topic}/{record.partition} has {record.offset + 1} records where this stream has "
                f"{counts.get(place, 0)}: it was written by something else, so the stream cannot go on."
            )


def _keep_pace(began: float, done: int, rate: float | None) -> None:
    if rate is not None:
        time.sleep(max(0.0, began + done / rate - time.monotonic()))
