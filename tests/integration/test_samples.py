"""Sample records on a real broker: a topic gets all of them or none, whenever their sender is killed (I1)."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from koboshi.errors import Unavailable
from koboshi.ingest.confluent_samples import SampleTopic
from tests.support import kafka_topics
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.parts

RECORDS = 3_000
KILLED = """
import os, signal, sys
from koboshi.ingest.confluent_samples import SampleTopic

def records():
    for number in range(int(sys.argv[3])):
        if number == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield str(number), str(number)

SampleTopic(sys.argv[1], sys.argv[2]).fill(records())
"""


@pytest.fixture
def servers(stack_of: Callable[..., RunningStack]) -> str:
    return str(stack_of("kafka").settings.kafka.bootstrap_servers)


def sample() -> list[tuple[str, str]]:
    return [(str(number), str(number)) for number in range(RECORDS)]


def test_a_topic_is_made_once_and_filled_once(servers: str) -> None:
    topic = SampleTopic(servers, kafka_topics.new_name("sample"))
    assert [topic.make(), topic.make()] == [True, False]
    assert [topic.fill(sample()), topic.fill(sample())] == [RECORDS, 0]


@pytest.mark.parametrize("after", [0, 1, RECORDS // 2, RECORDS - 1])
def test_who_is_killed_while_sending_leaves_nothing(servers: str, after: int) -> None:
    """The next one ends the transaction that was left open, and sends all."""
    name = kafka_topics.new_name("killed-sample")
    topic = SampleTopic(servers, name)
    topic.make()
    command = [sys.executable, "-c", KILLED, servers, name, str(RECORDS), str(after)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert topic.fill(sample()) == RECORDS
    assert sorted(map(int, kafka_topics.committed_values(servers, name))) == list(range(RECORDS))


def test_a_broker_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("koboshi.ingest.confluent_samples.PATIENCE_S", 2.0)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        SampleTopic("127.0.0.1:9", "nowhere").fill(sample())
