"""A topic of a drill's own, by another client than the lander's, and what was landed of it beside what the broker has.

What was landed is told by offsets that are missing or there twice, and by the audit's verdict.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from koboshi.broker_errors import from_librdkafka
from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.own_run import eventually
from koboshi.errors import KoboshiError, Unavailable
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.parquet_audit import read_records
from koboshi.ledger import Ledger, spans
from koboshi.probes.kafka_probe import probe_kafka
from koboshi.settings import required

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


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """Offsets by partition, in order. `doubled` has each offset that is there more than once, `records` counts all."""

    records: int
    missing: Mapping[int, list[int]]
    doubled: Mapping[int, list[int]]
    unknown: Mapping[int, list[int]]

    @property
    def lost(self) -> int:
        """How many offsets are missing."""
        return sum(map(len, self.missing.values()))

    @property
    def twice(self) -> int:
        """How many offsets are there more than once."""
        return sum(map(len, self.doubled.values()))

    def wrong(self) -> Iterator[str]:
        """A sentence for each partition in which something is wrong."""
        for what, found in (("missing", self.missing), ("doubled", self.doubled), ("not on the broker", self.unknown)):
            for partition, offsets in found.items():
                if offsets:
                    more = f", and {len(offsets) - 1:,} more" if len(offsets) > 1 else ""
                    yield f"partition {partition}: offset {offsets[0]} is {what}{more}"


def tally(files: Iterable[Path], ends: Mapping[int, int]) -> Tally:
    """Compare files (their folder is named by the partition) with a topic that has all offsets up to its ends."""
    landed: dict[int, Counter[int]] = {partition: Counter() for partition in ends}
    for file in files:
        landed[int(file.parent.name)].update(record[0] for record in read_records(file))
    return compare(landed, ends)


def compare(landed: Mapping[int, Counter[int]], ends: Mapping[int, int]) -> Tally:
    """The tally of landed offsets; pure."""
    return Tally(
        records=sum(counts.total() for counts in landed.values()),
        missing={p: [o for o in range(end) if o not in landed[p]] for p, end in ends.items()},
        doubled={p: sorted(o for o, times in landed[p].items() if times > 1) for p in ends},
        unknown={p: sorted(o for o in landed[p] if o >= end) for p, end in ends.items()},
    )


class Environment(Protocol):
    """What is asked about landing: a topic of the drill's own, and where it was landed."""

    topic: OwnTopic

    @property
    def state_dir(self) -> Path:
        """The folder that the spans' paths start from."""

    @property
    def ledger_url(self) -> str:
        """The ledger that the landers commit to."""

    def tally(self) -> Tally:
        """Which offsets the files that count have."""


def kafka_works(environment: Any) -> Finding:
    """A record comes through it."""
    health = probe_kafka(required(environment.settings.kafka.bootstrap_servers, "Kafka"))
    return Finding("kafka_works", health.ok, f"Kafka: {health.detail}")


def landed_equals_the_broker(environment: Environment, _injections: Sequence[Injection]) -> Finding:
    """Each offset is in exactly one file that counts; and the audit finds every record equal."""
    wrong, records = list(environment.tally().wrong()) or _audited(environment), environment.tally().records
    return Finding.unless(
        "landed_equals_the_broker", wrong, f"audit: equal in every partition, {records:,} records, each landed once"
    )


def _audited(environment: Environment) -> list[str]:
    """What the audit finds wrong; to find nothing to look at is wrong, too."""
    topic = environment.topic
    with closing(Ledger(environment.ledger_url)) as ledger, closing(ConfluentBroker(topic.bootstrap_servers)) as broker:
        verdicts = list(audit_topic(broker, environment.state_dir, spans.committed(ledger, topic.name)))
    wrong = [f"audit: partition {v.partition} is {v.outcome} at offset {v.offset}" for v in verdicts if not v.stands]
    wrong += [f"audit: partition {v.partition} is {v.outcome}" for v in verdicts if v.stands and v.outcome != "equal"]
    if silent := topic.partitions - len(verdicts):
        wrong.append(f"the audit knows nothing of {silent} partitions")
    return wrong
