"""What was landed beside what the broker has: offsets that are missing or there twice, and the audit's verdict."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.confluent_topic import OwnTopic
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.parquet_audit import read_records
from koboshi.ledger import Ledger, spans
from koboshi.probes.kafka_probe import probe_kafka
from koboshi.settings import required


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
    well = f"audit: equal in every partition, {records:,} records, each landed once"
    return Finding.unless("landed_equals_the_broker", wrong, well)


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
