"""Stream and ingest on a real broker, both killed on the way: nothing is lost, nothing is doubled (I1 to I4)."""

import dataclasses
import json
import signal
import subprocess
import time

import pyarrow.parquet as pq
import pytest
from kafka import KafkaConsumer, TopicPartition

from koboshi.datasets import span_records
from koboshi.datasets.pinning import pin
from koboshi.errors import Conflict
from koboshi.formats import cut
from koboshi.formats.content_digest import add
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.kafka_source import KafkaSource
from koboshi.ingest.landing import Lander
from koboshi.ingest.source import partition_statuses
from koboshi.ledger import Ledger, spans
from pipelines.snapshot import FOLDERS, build_snapshot
from tests.support import kafka_topics
from tests.support.running_stack import KOBOSHI, clean_environment

pytestmark = pytest.mark.parts

TOPICS = ("transactions", "fraud-reports")
WINDOW = ("--from", "2018-06-18", "--to", "2018-06-19")
EVENTS_AT_LEAST = 15_000


def numbered(count):
    """So many records that every producer can send."""
    return [(n, 1_529_280_000_000, b"k", b"%d" % n, []) for n in range(count)]


@pytest.fixture(scope="module")
def stack(stack_of):
    return stack_of("kafka")


def named(prefix):
    return [word for topic in TOPICS for word in ("--topic", prefix + topic)]


def start(stack, *words, **environment):
    """A koboshi command that will be killed."""
    return subprocess.Popen(
        [str(KOBOSHI), *words],
        cwd=stack.project,
        env=clean_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL, "the fault did not strike: it had ended before"


def wait_for_records(stack, topic, count):
    """Poll until a topic holds so many records in its partitions, at most a minute."""
    consumer = KafkaConsumer(bootstrap_servers=stack.settings.kafka.bootstrap_servers)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            if partitions and sum(consumer.end_offsets(partitions).values()) >= count:
                return
            time.sleep(0.05)
    finally:
        consumer.close()
    raise AssertionError(f"{topic} does not reach {count} records")


def committed(stack, topic):
    ledger = Ledger(stack.settings.ledger_url)
    try:
        return spans.committed(ledger, topic)
    finally:
        ledger.close()


def digests(stack, topic):
    """For each partition its last offset and the content digest of all that was landed."""
    found = {}
    for span in committed(stack, topic):
        _, content = found.get(span.range.partition, (0, add([])))
        found[span.range.partition] = (span.range.end, add([content, span.content]))
    return found


def values(stack, topic):
    """The different records of a topic, from its span files."""
    files = [stack.settings.state_dir / span.path for span in committed(stack, topic)]
    return {value for file in files for value in pq.read_table(file, columns=["value"])["value"].to_pylist()}


def snapshot_rows(stack, prefix, folder):
    """The bytes of the row files that the snapshot stage makes of landed topics: dead letters and counts aside."""
    ledger = Ledger(stack.settings.ledger_url)
    pinned, _ = pin(ledger, stack.settings.state_dir, [prefix + topic for topic in TOPICS], folder / cut.FILE)
    batches = span_records.read(ledger, stack.settings.state_dir, pinned)
    meant = (dataclasses.replace(batch, topic=batch.topic.removeprefix(prefix)) for batch in batches)
    build_snapshot(meant, folder / "snapshot")
    ledger.close()
    rows = [path for name in FOLDERS.values() for path in (folder / "snapshot" / name).iterdir()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in rows}


def audited(stack, *topics):
    words = [word for topic in topics for word in ("--topic", topic)]
    done = stack.run("ingest", "audit", "--json", *words, check=False)
    return done, {(row["topic"], row["partition"]): row["outcome"] for row in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def straight(stack):
    """A stream that nobody disturbs, landed in one go."""
    stack.run("stream", "simulate", *WINDOW, "--topic-prefix", "straight.")
    stack.run("ingest", "run", *named("straight."))
    assert len(values(stack, "straight.transactions")) > EVENTS_AT_LEAST
    return "straight."


def test_stream_and_lander_are_killed_and_the_spans_are_as_if_they_had_not_been(stack, straight):
    """The same records at the same offsets; other spans, the same content; equal to the broker by another client."""
    simulate = ("stream", "simulate", *WINDOW, "--topic-prefix", "killed.")
    streaming = start(stack, *simulate, "--rate", "6000")
    wait_for_records(stack, "killed.transactions", 5_000)
    kill(streaming)
    landing = start(stack, "ingest", "run", *named("killed."), "--span-records", "300", KOBOSHI_INGEST__LEASE_S="2")
    assert landing.stdout.readline().startswith("landed killed.transactions/0 [0, 300)")
    kill(landing)
    assert "going on" in stack.run(*simulate).stdout
    assert "nothing to send" in stack.run(*simulate).stdout
    stack.run("ingest", "run", *named("killed."), "--span-records", "1777")
    assert "nothing new to land" in stack.run("ingest", "run", *named("killed.")).stdout
    for topic in TOPICS:
        assert digests(stack, f"killed.{topic}") == digests(stack, straight + topic)
    done, outcomes = audited(stack, *(f"killed.{topic}" for topic in TOPICS))
    assert (done.returncode, set(outcomes.values())) == (0, {"equal"})


def test_a_killed_and_resumed_stream_with_duplicates_gives_the_same_snapshot_bytes(stack, straight, tmp_path):
    """I4: killed on the way, 5 % of it twice, garbage beside it, other spans: the same bytes of rows."""
    words = ("stream", "simulate", *WINDOW, "--topic-prefix", "noisy.")
    words = (*words, "--duplicate-share", "0.05", "--garbage-share", "0.01")
    streaming = start(stack, *words, "--rate", "6000")
    wait_for_records(stack, "noisy.transactions", 5_000)
    kill(streaming)
    stack.run("ingest", "run", *named("noisy."), "--span-records", "999")
    assert "going on" in stack.run(*words).stdout
    stack.run("ingest", "run", *named("noisy."))
    for topic in TOPICS:
        assert values(stack, straight + topic) <= values(stack, f"noisy.{topic}")
    events = sum(end for topic in TOPICS for end, _ in digests(stack, straight + topic).values())
    landed = sum(end for topic in TOPICS for end, _ in digests(stack, f"noisy.{topic}").values())
    assert landed == events + round(events * 0.05) + round(events * 0.01)
    assert audited(stack, "noisy.transactions")[0].returncode == 0
    rows = snapshot_rows(stack, straight, tmp_path / "straight")
    assert len(rows) > 1
    assert snapshot_rows(stack, "noisy.", tmp_path / "noisy") == rows


def test_another_stream_into_the_same_topics_is_refused(stack, straight):
    """65, and nothing is sent: two streams in one topic could not be told apart."""
    before = stack.run("ingest", "status", "--json", *named(straight)).stdout
    done = stack.run("stream", "simulate", *WINDOW, "--topic-prefix", straight, "--seed", "9", check=False)
    assert (done.returncode, "is of another stream" in done.stderr) == (65, True)
    assert stack.run("ingest", "status", "--json", *named(straight)).stdout == before


def test_a_flipped_byte_in_a_landed_span_is_named_and_mended(stack, straight):
    """I2: found before use, exit 65; `repair` puts the same bytes back."""
    path = stack.settings.state_dir / committed(stack, straight + TOPICS[0])[0].path
    good = path.read_bytes()
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    done, outcomes = audited(stack, straight + TOPICS[0])
    assert (done.returncode, outcomes[straight + TOPICS[0], 0]) == (65, "broken")
    assert path.name in done.stderr
    stack.run("ingest", "repair", "--topic", straight + TOPICS[0])
    assert path.read_bytes() == good


def test_status_shows_what_waits(stack):
    stack.run("stream", "simulate", *WINDOW, "--topic-prefix", "waiting.", "--limit", "2000")
    rows = json.loads(stack.run("ingest", "status", "--json", *named("waiting.")).stdout)
    assert sum(row["lag_records"] for row in rows) == 2_000
    stack.run("ingest", "run", *named("waiting."))
    rows = json.loads(stack.run("ingest", "status", "--json", *named("waiting.")).stdout)
    assert [sum(row[key] for row in rows) for key in ("lag_records", "records")] == [0, 2_000]
    assert "waiting.transactions/3" in stack.run("ingest", "status", *named("waiting.")).stdout


def test_aborted_and_open_transactions_are_neither_landed_nor_passed_over(stack):
    """Committed records only, up to the last stable offset; lander and audit agree on what that is."""
    servers, topic = stack.settings.kafka.bootstrap_servers, kafka_topics.new_name("transactional")
    kafka_topics.make(servers, topic, 1)
    rows = numbered(30)
    # The broker itself would end a transaction after a minute, before a busy machine has looked at it.
    patient = {"transaction_timeout_ms": 600_000}
    with kafka_topics.producer_of(servers, transactional_id=topic, **patient) as producer:
        producer.init_transactions()
        for part, end in ((rows[:10], "commit"), (rows[10:20], "abort"), (rows[20:25], "commit")):
            producer.begin_transaction()
            kafka_topics.write(producer, topic, 0, part)
            producer.commit_transaction() if end == "commit" else producer.abort_transaction()
        producer.begin_transaction()
        kafka_topics.write(producer, topic, 0, rows[25:])
        with kafka_topics.producer_of(servers) as plain:
            kafka_topics.write(plain, topic, 0, numbered(115)[100:])
        said = stack.run("ingest", "run", "--topic", topic, "--span-records", "7").stdout
        assert "20 records from offset 28 on are held back by an open transaction of producer" in said
        assert f"(transactional id {topic})" in said
        assert sorted(map(int, values(stack, topic))) == [*range(10), *range(20, 25)]
        assert audited(stack, topic)[1] == {(topic, 0): "equal"}
        [row] = json.loads(stack.run("ingest", "status", "--json", "--topic", topic).stdout)
        assert (row["last_stable_offset"], row["high_watermark"]) == (28, 48)
        assert (row["lag_records"], row["held_back_records"], row["log_end"]) == (0, 20, 28)
        [held] = row["open_transactions"]
        assert (held["transactional_id"], held["first_offset"]) == (topic, 28)
        assert said.splitlines()[-1] in stack.run("ingest", "status", "--topic", topic).stdout
        producer.commit_transaction()
    assert "held back" not in stack.run("ingest", "run", "--topic", topic).stdout
    assert sorted(map(int, values(stack, topic))) == [*range(10), *range(20, 30), *range(100, 115)]
    assert audited(stack, topic)[1] == {(topic, 0): "equal"}


def test_what_was_gone_before_the_first_landing_is_said_counted_and_no_error(stack):
    """Where something is left to land, and where nothing is; what is deleted after a landing is refused."""
    servers, topic = stack.settings.kafka.bootstrap_servers, kafka_topics.new_name("late")
    kafka_topics.make(servers, topic, 2)
    with kafka_topics.producer_of(servers) as producer:
        for partition in (0, 1):
            kafka_topics.write(producer, topic, partition, numbered(6))
    kafka_topics.expire(servers, topic, 0, 4)
    kafka_topics.expire(servers, topic, 1, 6)
    said = stack.run("ingest", "run", "--topic", topic).stdout
    assert f"{topic}/0: offsets 0 to 3 were gone from the broker before the first landing came." in said
    assert f"{topic}/1: offsets 0 to 5 were gone from the broker before the first landing came." in said
    ledger, source, broker = Ledger(stack.settings.ledger_url), KafkaSource(servers), ConfluentBroker(servers)
    landed, begun = spans.committed(ledger, topic), spans.beginnings(ledger, topic)
    try:
        rows = partition_statuses(source.logs(topic), landed, [], begun)
        assert [(row.gone_before_landing, row.records, row.lag_records) for row in rows] == [(4, 2, 0), (6, 0, 0)]
        verdicts = audit_topic(broker, stack.settings.state_dir, landed, begun)
        assert [(one.outcome, one.gone_before_landing) for one in verdicts] == [("equal", 4), ("equal", 6)]
        with kafka_topics.producer_of(servers) as producer:
            kafka_topics.write(producer, topic, 1, numbered(3))
        kafka_topics.expire(servers, topic, 1, 8)
        with pytest.raises(Conflict, match="offsets 6 to 7 were deleted before they were landed"):
            Lander(ledger, source, stack.settings.state_dir, "us").land_topic(topic)
    finally:
        broker.close()
        source.close()
        ledger.close()


def test_the_lander_keeps_up(stack, straight):
    """A source hands out thousands of records at a time: a poll of few would cost ten times as much."""
    source = KafkaSource(stack.settings.kafka.bootstrap_servers)
    try:
        log = source.logs(straight + TOPICS[0])[0]
        span = committed(stack, straight + TOPICS[0])[0].range
        assert log.end == span.end
        assert max(len(batch) for batch in source.read(span)) >= 1_000
    finally:
        source.close()
