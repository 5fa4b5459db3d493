"""Kafka as a source, read with kafka-python by `assign` and `seek`: no group, no commit, no reset of offsets."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kafka import IsolationLevel, KafkaAdminClient, KafkaConsumer, OffsetSpec, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import AuthorizationError, KafkaError, UnsupportedVersionError

from koboshi.broker_errors import from_kafka_python, trouble_of
from koboshi.errors import NotConfigured, Unavailable
from koboshi.formats.records import Records
from koboshi.ingest.kafka_records import keep_header_names
from koboshi.ingest.source import OpenTransaction, PartitionLog
from koboshi.refs import SpanRange

POLL_RECORDS = 5_000
FETCH_BYTES = 8 * 1024 * 1024
POLL_MS = 500
# At the end of a log the broker holds a fetch back for so long, and with it the first fetch of the next range.
FETCH_WAIT_MS = 20
# A broker that was restarted is found again after a second, not after half a minute.
RECONNECT_MS = 1_000


class KafkaSource:
    """A `Source` on a Kafka cluster; `patience_s` bounds each wait for it."""

    def __init__(self, bootstrap_servers: str, patience_s: float = 20.0) -> None:
        self._servers, self._patience_s = bootstrap_servers, patience_s
        with self._errors("connect"):
            try:
                self._admin, self._consumer = self._clients()
            except ValueError as error:
                raise NotConfigured(
                    f"{bootstrap_servers!r} is not HOST:PORT, or a list of them with commas ({error}): mend [kafka] "
                    "bootstrap_servers in koboshi.toml."
                ) from error

    def _clients(self) -> tuple[KafkaAdminClient, KafkaConsumer]:
        waits = {
            "bootstrap_servers": self._servers,
            "bootstrap_timeout_ms": int(self._patience_s * 1_000),
            "request_timeout_ms": int(self._patience_s * 1_000),
            "reconnect_backoff_max_ms": RECONNECT_MS,
        }
        admin = KafkaAdminClient(**waits)
        consumer = KafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            max_poll_records=POLL_RECORDS,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metrics_enabled=False,
            **waits,
        )
        keep_header_names(consumer)
        return admin, consumer

    def logs(self, topic: str) -> list[PartitionLog]:
        """The logs of a topic, by partition, up to the last stable offset.

        The high watermark is asked for before it: so records that come meanwhile do not look as if they were held back.
        """
        description = self._describe(topic)
        partitions = [TopicPartition(topic, found["partition_index"]) for found in description["partitions"]]
        with self._errors(topic):
            starts = self._offsets(partitions, OffsetSpec.EARLIEST)
            high = self._offsets(partitions, OffsetSpec.LATEST, IsolationLevel.READ_UNCOMMITTED)
            ends = self._offsets(partitions, OffsetSpec.LATEST)
        topic_id = str(description["topic_id"])
        return [
            PartitionLog(topic, topic_id, p.partition, starts[p], ends[p], max(0, high[p] - ends[p]))
            for p in sorted(partitions)
        ]

    def open_transactions(self, logs: Iterable[PartitionLog]) -> list[OpenTransaction]:
        """The transactions that hold records of these logs back, by partition and offset; none where nobody tells."""
        held = [TopicPartition(log.topic, log.partition) for log in logs if log.held_back]
        with self._errors(", ".join(f"{one.topic}/{one.partition}" for one in held)), suppress(*UNTOLD):
            return _open_transactions(self._admin, held) if held else []
        return []

    def topic_id(self, topic: str) -> str:
        """The id that the cluster gave to the topic when it was made."""
        return str(self._describe(topic)["topic_id"])

    def read(self, span: SpanRange) -> Iterator[Records]:
        """Read until the *position* has reached the end: it also moves over aborted and compacted records."""
        partition = TopicPartition(span.topic, span.partition)
        with self._errors(f"{span.topic}/{span.partition} from offset {span.start}"):
            self._go_to(partition, span.start)
            moved_at, position = time.monotonic(), span.start
            while position < span.end:
                most = min(POLL_RECORDS, span.end - position)
                yield _columns(self._consumer.poll(timeout_ms=POLL_MS, max_records=most).get(partition, []), span.end)
                if (reached := self._consumer.position(partition)) > position:
                    moved_at, position = time.monotonic(), reached
                elif time.monotonic() - moved_at > self._patience_s:
                    where = f"{span.topic}/{span.partition} does not move on from offset {position}"
                    raise Unavailable(
                        f"Kafka at {self._servers} does not answer ({where}): see `koboshi status`, then try again."
                    )

    def _go_to(self, partition: TopicPartition, offset: int) -> None:
        """Seek, unless the range before ended just there: then what was fetched behind it is of use."""
        if self._consumer.assignment() != {partition}:
            self._consumer.assign([partition])
        elif self._consumer.position(partition) == offset:
            return
        self._consumer.seek(partition, offset)

    def close(self) -> None:
        """Close both clients."""
        self._consumer.close(autocommit=False)
        self._admin.close()

    def _describe(self, topic: str) -> dict[str, Any]:
        with self._errors(topic):
            description: dict[str, Any] = self._admin.describe_topics([topic])[0]
        if code := description["error_code"]:
            raise trouble_of(code).said(self._servers, f"topic {topic}", f"error {code}")
        return description

    def _offsets(
        self,
        partitions: list[TopicPartition],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[TopicPartition, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(partitions, spec), isolation_level=isolation)
        return {partition: answer.offset for partition, answer in found.items()}

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Kafka's errors as ours: what a later try may mend, and what it cannot."""
        try:
            yield
        except KafkaError as error:
            raise from_kafka_python(error, self._servers, what) from error


def _columns(polled: list[ConsumerRecord], end: int) -> Records:
    """Records before `end` as columns; a fetch may bring some from behind it."""
    kept = [record for record in polled if record.offset < end]
    return Records(
        [record.offset for record in kept],
        [record.timestamp for record in kept],
        [record.key for record in kept],
        [record.value for record in kept],
        [record.headers for record in kept],
    )


def open_source(address: str) -> KafkaSource:
    """The source at HOST:PORT, or at a list of them with commas."""
    return KafkaSource(address)


# A broker before 2.8 cannot be asked, and not everybody may ask: who holds records back is then not known.
UNTOLD = (AuthorizationError, UnsupportedVersionError)


def _open_transactions(admin: KafkaAdminClient, partitions: list[TopicPartition]) -> list[OpenTransaction]:
    """The open transactions in these partitions, by partition and offset: the first of each holds its records back."""
    at_work = sorted(
        (partition, producer.current_transaction_start_offset, producer.producer_id, producer.last_timestamp)
        for partition, state in admin.describe_producers(partitions).items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    )
    names = _transactional_ids(admin, {producer_id for _, _, producer_id, _ in at_work})
    return [
        OpenTransaction(at.topic, at.partition, offset, producer_id, names.get(producer_id, ""), last_at_ms)
        for at, offset, producer_id, last_at_ms in at_work
    ]


def _transactional_ids(admin: KafkaAdminClient, producer_ids: set[int]) -> Mapping[int, str]:
    if not producer_ids:
        return {}
    try:
        listed = admin.list_transactions(producer_id_filters=sorted(producer_ids))
    except UNTOLD:
        return {}
    return {found.producer_id: found.transactional_id for listing in listed.values() for found in listing}
