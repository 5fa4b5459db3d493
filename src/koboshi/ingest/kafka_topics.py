"""Topics of a Kafka cluster, by kafka-python: which there are, and making one that fits what is landed."""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaAdminClient, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from koboshi.broker_errors import from_kafka_python, trouble_of
from koboshi.errors import Conflict, NotConfigured

RETENTION = "retention.ms"
FOR_EVER = -1
PATIENCE_S = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `offsets`: how many its partitions hold now, which is the number of records unless some were compacted.

    `retention_ms`: how long records stay; `FOR_EVER` is -1, None is not known to this client.
    """

    name: str
    partitions: int
    replication_factor: int
    offsets: int
    retention_ms: int | None


def differences(topic: Topic, partitions: int, retention_ms: int) -> list[str]:
    """In which settings a topic differs from what is wanted. Pure."""
    found = [f"{topic.partitions} partitions, not {partitions}"] if topic.partitions != partitions else []
    if topic.retention_ms not in (None, retention_ms):
        found.append(f"{RETENTION}={topic.retention_ms}, not {retention_ms}")
    return found


def list_topics(bootstrap_servers: str) -> list[Topic]:
    """The topics of a cluster by their names, without those that Kafka keeps for itself.

    Raises `Unavailable` where no broker answers.
    """
    with _admin(bootstrap_servers, "its topics") as admin:
        return _described(admin, [one["name"] for one in admin.describe_topics() if not one["is_internal"]])


def make_topic(
    bootstrap_servers: str, name: str, partitions: int, retention_ms: int, replication_factor: int = -1
) -> bool:
    """Make a topic; False where it is there already, as it is wanted. Safe to run again, and by many at once.

    Key: the topic's name. Commit: the broker's answer. Raises `Conflict` where it is there with other settings, and
    then changes nothing; `BadInput` for a name that Kafka does not take.
    """
    configs = {RETENTION: str(retention_ms)}
    wanted = {"num_partitions": partitions, "replication_factor": replication_factor, "configs": configs}
    with _admin(bootstrap_servers, f"topic {name}") as admin:
        try:
            admin.create_topics({name: wanted}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            admin.wait_for_topics([name])
            (there,) = _described(admin, [name])
        else:
            return True
    if differing := differences(there, partitions, retention_ms):
        raise Conflict(
            f"topic {name} is at {bootstrap_servers} already, with {'; '.join(differing)}: ask for what it has, or "
            "choose another name. The topic is unchanged."
        )
    return False


def _described(admin: KafkaAdminClient, names: list[str]) -> list[Topic]:
    found = {one["name"]: one for one in admin.describe_topics(names)} if names else {}
    for name, one in found.items():
        if code := one["error_code"]:
            raise trouble_of(code).said("this cluster", f"topic {name}", f"error {code}")
    offsets, retention = _offsets(admin, found.values()), _retention(admin, names)
    return [
        Topic(
            name,
            len(one["partitions"]),
            max((len(p["replica_nodes"]) for p in one["partitions"]), default=0),
            offsets[name],
            retention.get(name),
        )
        for name, one in sorted(found.items())
    ]


def _offsets(admin: KafkaAdminClient, topics: Iterable[dict[str, Any]]) -> dict[str, int]:
    held = {one["name"]: 0 for one in topics}
    partitions = [TopicPartition(one["name"], p["partition_index"]) for one in topics for p in one["partitions"]]
    for spec, sign in ((OffsetSpec.EARLIEST, -1), (OffsetSpec.LATEST, 1)) if partitions else ():
        for at, answer in admin.list_partition_offsets(dict.fromkeys(partitions, spec)).items():
            held[at.topic] += sign * answer.offset
    return held


def _retention(admin: KafkaAdminClient, names: list[str]) -> dict[str, int]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {RETENTION: None}) for name in names]
    told = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    return {name: int(configs[RETENTION]["value"]) for name, configs in told.items() if RETENTION in configs}


@contextmanager
def _admin(servers: str, what: str) -> Iterator[KafkaAdminClient]:
    waits = {"bootstrap_timeout_ms": int(PATIENCE_S * 1_000), "request_timeout_ms": int(PATIENCE_S * 1_000)}
    try:
        with closing(KafkaAdminClient(bootstrap_servers=servers, **waits)) as admin:
            yield admin
    except KafkaError as error:
        raise from_kafka_python(error, servers, what) from error
    except ValueError as error:
        raise NotConfigured(
            f"{servers!r} is not HOST:PORT, or a list of them with commas ({error}): mend [kafka] bootstrap_servers in "
            "koboshi.toml."
        ) from error
