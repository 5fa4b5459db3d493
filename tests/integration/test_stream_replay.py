"""`koboshi stream replay` on a real broker: what cannot end well is refused before a topic is made or a record sent."""

import datetime
import re

import pytest

from koboshi.errors import BadInput
from koboshi.project.kafka_stream import KafkaStream
from pipelines.stream_sources import replayed
from tests.support import kafka_topics

pytestmark = pytest.mark.parts

AHEAD = datetime.timedelta(minutes=30)
HEADER = "transaction_id,tx_datetime,customer_id,terminal_id,amount,is_fraud"


@pytest.fixture(scope="module")
def stack(stack_of):
    return stack_of("kafka")


@pytest.fixture
def prefix():
    return kafka_topics.new_name("replay") + "."


@pytest.fixture
def cards(tmp_path):
    """A file of forty transactions, the last at a given time."""

    def written(last="2018-07-01T12:00:00", label="0"):
        lines = [f"{number},2018-07-01T10:00:{number:02},{number},3,{number}.5,0" for number in range(40)]
        path = tmp_path / "cards.csv"
        path.write_text("\n".join([HEADER, *lines, f"40,{last},5,3,4,{label}"]))
        return path

    return written


def topics_of(stack, prefix):
    with kafka_topics.admin_of(stack.settings.kafka.bootstrap_servers) as admin:
        return [name for name in admin.list_topics() if name.startswith(prefix)]


def stream_of(stack, path, prefix):
    return KafkaStream(stack.settings.kafka.bootstrap_servers, replayed(path, seed=5), prefix)


def send(stream):
    """Send what is missing; the number of records that were."""
    missing = stream.remaining()
    stream.send(missing, None, lambda _: None)
    return len(missing)


def test_a_good_file_is_sent_once_and_a_dry_run_sends_nothing(stack, cards, prefix):
    """The dry run asks nothing of Kafka, and says what the run then sends."""
    words = ("stream", "replay", str(cards()), "--topic-prefix", prefix)
    said = stack.run(*words, "--dry-run", "--limit", "30", KOBOSHI_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1").stdout
    assert said.startswith("would send 30 records (of 41) of stream ")
    assert re.search(rf"{prefix}transactions +30 records, 2018-07-01 10:00:00 to 2018-07-01 10:00:29\n", said)
    assert topics_of(stack, prefix) == []
    assert f"41 in {prefix}transactions, 0 in {prefix}fraud-reports" in stack.run(*words).stdout
    assert "nothing to send: all 41 records are in Kafka already" in stack.run(*words).stdout


def test_a_bad_file_ends_with_65_and_no_topic_is_made(stack, cards, prefix):
    path = cards(label="NaN")
    done = stack.run("stream", "replay", str(path), "--topic-prefix", prefix, check=False)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.startswith(f"koboshi: {path} is refused;")
    assert "line 42 'NaN'" in done.stderr
    assert topics_of(stack, prefix) == []


def test_a_time_that_the_broker_itself_refuses_is_permanent(stack, cards, prefix):
    """A topic may allow less than an hour ahead; trying again would not help for ever."""
    stream = stream_of(stack, cards(f"{datetime.datetime.now(datetime.UTC) + AHEAD:%Y-%m-%dT%H:%M:%S}"), prefix)
    for topic in stream.topics:
        make(stack, topic, **{"message.timestamp.after.max.ms": "1000"})
    with pytest.raises(BadInput, match=r"refuses the time of a record .*message.timestamp.after.max.ms"):
        send(stream)


def test_topics_of_another_shape_are_refused_and_none_is_made(stack, cards, prefix):
    """With fewer partitions than the stream has, its records would have no place."""
    kafka_topics.make(stack.settings.kafka.bootstrap_servers, f"{prefix}fraud-reports", 2)
    with pytest.raises(BadInput, match=r"fraud-reports has 2 partitions, and this stream needs 4"):
        stream_of(stack, cards(), prefix).remaining()
    assert topics_of(stack, prefix) == [f"{prefix}fraud-reports"]


def test_a_stream_of_another_file_is_refused_and_no_topic_is_made(stack, cards, prefix):
    stream = stream_of(stack, cards(), prefix)
    send(stream)
    kafka_topics.delete(stack.settings.kafka.bootstrap_servers, f"{prefix}fraud-reports")
    with pytest.raises(BadInput, match="is of another stream"):
        stream_of(stack, cards("2018-07-01T12:00:01"), prefix).remaining()
    assert topics_of(stack, prefix) == [f"{prefix}transactions"]


def test_records_that_the_broker_deleted_are_no_reason_to_try_again(stack, cards, prefix):
    """The newest record of a partition says how far the stream is; without it, what is missing cannot be told."""
    stream = stream_of(stack, cards(), prefix)
    assert send(stream) == 41
    place, count = next(iter(sorted(stream.stream.events.group_by("partition").len().iter_rows())))
    kafka_topics.expire(stack.settings.kafka.bootstrap_servers, f"{prefix}transactions", place, count)
    with pytest.raises(
        BadInput, match=rf"offset {count - 1} of {prefix}transactions/{place} is no longer on the broker"
    ):
        stream.remaining()


def test_the_end_of_a_foreign_transaction_is_no_reason_to_wait(stack, cards, prefix):
    """It takes an offset, and no client is given a record for it."""
    servers = stack.settings.kafka.bootstrap_servers
    stream = stream_of(stack, cards(), prefix)
    send(stream)
    with kafka_topics.producer_of(servers, transactional_id=prefix) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(f"{prefix}transactions", b"x", partition=0)
        producer.commit_transaction()
    with pytest.raises(BadInput, match=r"transactions/0 is the end of a transaction, which is none of this stream's"):
        stream.remaining()


def make(stack, topic, **configs):
    with kafka_topics.admin_of(stack.settings.kafka.bootstrap_servers) as admin:
        wanted = {"num_partitions": 4, "replication_factor": 1, "configs": {"retention.ms": "-1", **configs}}
        admin.create_topics({topic: wanted}, wait_for_metadata=True)
