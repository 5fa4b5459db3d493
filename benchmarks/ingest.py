"""What landing and its audit cost: `make benchmark-ingest`.

Many small partitions, where waits count, and a million records, where the processor counts; then how kafka-python's own
consumer reads the same records as the lander does. Figures and machine go to benchmarks/results/ingest.json.
"""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks import bars
from benchmarks.bars import Bar, usually_at_most
from benchmarks.own_stack import KOBOSHI, PROJECT, own_stack
from koboshi.exits import STOP, run_and_exit
from koboshi.ingest.kafka_source import FETCH_BYTES, KafkaSource
from koboshi.refs import SpanRange
from koboshi.settings import Settings, required

SMALL, LARGE = (60, 10), (4, 250_000)
QUICK = (4, 1_000)
VALUE = b"x" * 100
HEADERS = [("trace", b"0123456789abcdef")]
LANDING, AUDIT, OURS, PEER = "ingest run", "ingest audit", "KafkaSource", "kafka-python"


@dataclasses.dataclass(frozen=True, slots=True)
class Took:
    """One measurement: seconds by the clock for a verb, seconds of the processor for a reader."""

    round: int
    what: str
    partitions: int
    records: int
    seconds: float


def fill(servers: str, topic: str, partitions: int, records: int) -> None:
    """A new topic with so many records of 100 bytes, a key and a header in each partition."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": {"retention.ms": "-1"}}
    admin.create_topics({topic: wanted}, wait_for_metadata=True)
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=50, max_block_ms=120_000)
    for number in range(records):
        for partition in range(partitions):
            producer.send(topic, VALUE, b"%d" % number, HEADERS, partition)
    producer.flush()
    producer.close()


def verb_s(*words: str) -> float:
    """How long a verb of the command line takes, its start included; one that fails ends the benchmark."""
    began = time.perf_counter()
    subprocess.run([str(KOBOSHI), *words], cwd=PROJECT, stdin=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def verbs(servers: str, number: int, size: tuple[int, int]) -> Iterator[Took]:
    """Land a new topic, then audit it."""
    topic, (partitions, records) = f"bench-{number}-{size[0]}", size
    fill(servers, topic, partitions, records)
    for verb in (LANDING, AUDIT):
        took = verb_s(*verb.split(), "--topic", topic)
        yield Took(number, verb, partitions, partitions * records, took)


def read_as_the_lander(servers: str, topic: str, records: int) -> int:
    """Partition 0, as the lander reads it; how many records came."""
    source = KafkaSource(servers)
    span = SpanRange(topic, source.topic_id(topic), 0, 0, records)
    count = sum(len(polled.offsets) for polled in source.read(span))
    source.close()
    return count


def read_as_its_peer(servers: str, topic: str, records: int) -> int:
    """Partition 0, by kafka-python's consumer as it is; with the same settings for fetching."""
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_poll_records=5_000,
        max_partition_fetch_bytes=FETCH_BYTES,
        metrics_enabled=False,
    )
    consumer.assign([partition])
    consumer.seek(partition, 0)
    count = 0
    while consumer.position(partition) < records:
        count += len(consumer.poll(timeout_ms=500).get(partition, []))
    consumer.close()
    return count


def readers(servers: str, number: int, size: tuple[int, int]) -> Iterator[Took]:
    """Processor time of both readers for the same records, there and back."""
    partitions, records = size
    topic = f"bench-{number}-{partitions}"
    for name in (OURS, PEER, PEER, OURS):
        read = read_as_the_lander if name == OURS else read_as_its_peer
        began = time.process_time()
        if (count := read(servers, topic, records)) != records:
            raise AssertionError(f"{name} read {count} of {records} records")
        yield Took(number, name, 1, records, time.process_time() - began)


def measured(settings: Settings, rounds: int, sizes: Sequence[tuple[int, int]]) -> list[Took]:
    """All rounds; both readers read the topic of the last size."""
    servers, found = required(settings.kafka.bootstrap_servers, "Kafka"), list[Took]()
    for number in range(1, rounds + 1):
        print(f"{time.strftime('%H:%M:%S')} round {number}/{rounds}", flush=True)
        for size in sizes:
            found += verbs(servers, number, size)
        found += readers(servers, number, sizes[-1])
    return found


def judged(found: Sequence[Took]) -> list[Bar]:
    """The bars, pure; a ratio is that of one round."""
    sizes = sorted({(one.partitions, one.records) for one in found if one.what == LANDING}, reverse=True)
    return [
        *(_audit_against_landing(found, partitions, records) for partitions, records in sizes),
        usually_at_most("processor time of a record, KafkaSource against kafka-python", 1.0, _ratios(found), "times"),
    ]


def _audit_against_landing(found: Sequence[Took], partitions: int, records: int) -> Bar:
    of_size = [one for one in found if (one.partitions, one.records) == (partitions, records)]
    landing, audit = ([one.seconds for one in of_size if one.what == what] for what in (LANDING, AUDIT))
    what = f"audit against landing, {records:,} records in {partitions} partitions"
    what += f" ({statistics.median(audit):.1f} s, {statistics.median(landing):.1f} s)"
    return usually_at_most(what, 2.0, [ours / theirs for ours, theirs in zip(audit, landing, strict=True)], "times")


def _ratios(found: Sequence[Took]) -> list[float]:
    rounds = sorted({one.round for one in found})
    return [_processor_s(found, number, OURS) / _processor_s(found, number, PEER) for number in rounds]


def _processor_s(found: Sequence[Took], number: int, what: str) -> float:
    return statistics.mean(one.seconds for one in found if (one.round, one.what) == (number, what))


def main(
    rounds: Annotated[int, typer.Option(min=1, help="New topics in each.")] = 3,
    quick: Annotated[bool, typer.Option(help="One round of few records: to see that it runs.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Measure, show the table, keep the figures; exit 65 when a bar is missed (with --quick: never)."""
    with own_stack("kafka") as settings:
        found = measured(settings, 1 if quick else rounds, [QUICK] if quick else [SMALL, LARGE])
    listed = judged(found)
    bars.show("Landing and audit", listed)
    kept = bars.save("ingest", results, listed, PROJECT, raw=[dataclasses.asdict(one) for one in found])
    print(f"the figures are in {kept}")
    sys.exit(STOP if bars.missed(listed) and not quick else 0)


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "benchmark-ingest")
