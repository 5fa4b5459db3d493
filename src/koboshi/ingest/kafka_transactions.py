"""Whose open transactions hold records back, as a Kafka cluster tells it."""

from collections.abc import Collection, Mapping

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import AuthorizationError, UnsupportedVersionError

from koboshi.ingest.source import OpenTransaction, PartitionLog

# A broker before 2.8 cannot be asked, and not everybody may ask: who holds records back is then not known.
UNTOLD = (AuthorizationError, UnsupportedVersionError)


def open_transactions(admin: KafkaAdminClient, logs: Collection[PartitionLog]) -> list[OpenTransaction]:
    """The open transactions in these partitions, by partition and offset: the first of each holds its records back.

    None where the cluster does not tell. Raises Kafka's own errors.
    """
    if not logs:
        return []
    try:
        found = admin.describe_producers([TopicPartition(log.topic, log.partition) for log in logs])
    except UNTOLD:
        return []
    at_work = sorted(
        (partition, producer.current_transaction_start_offset, producer.producer_id, producer.last_timestamp)
        for partition, state in found.items()
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
