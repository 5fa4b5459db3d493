"""`koboshi topic`: a topic is made once, on a real broker, and one with other settings is left as it is."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.kafka_topics import delete, new_name, producer_of
from tests.support.running_stack import UNMEASURED, RunningStack

pytestmark = pytest.mark.parts


@pytest.fixture
def kafka(stack_of: Callable[..., RunningStack]) -> RunningStack:
    return stack_of("kafka")


@pytest.fixture
def servers(kafka: RunningStack) -> str:
    return str(kafka.settings.kafka.bootstrap_servers)


@pytest.fixture
def topic(servers: str) -> Iterator[str]:
    name = new_name("made")
    yield name
    delete(servers, name)


def test_a_topic_is_made_once_and_listed_with_what_it_holds(kafka: RunningStack, servers: str, topic: str) -> None:
    """The second time nothing changes; other settings are refused, and nothing changes either."""

    def made(*words: str, check: bool = True) -> tuple[int, str, str]:
        done = kafka.run("topic", "create", topic, *words, check=check, **UNMEASURED)
        return done.returncode, done.stdout, done.stderr

    assert json.loads(made("--partitions", "3", "--json")[1])["made"] is True
    with producer_of(servers) as producer:
        for partition in range(3):
            producer.send(topic, b"value", partition=partition)
    assert "is there already, with 3 partitions" in made("--partitions", "3")[1]
    code, _, said = made(check=False)
    assert (code, said.count("\n")) == (65, 1)
    assert f"topic {topic} is at {servers} already, with 3 partitions, not 4" in said
    assert "retention.ms=-1, not 3600000" in made("--partitions", "3", "--keep-hours", "1", check=False)[2]
    listed = json.loads(kafka.run("topic", "list", "--json").stdout)
    [found] = [one for one in listed if one["name"] == topic]
    assert found == {
        "name": topic,
        "partitions": 3,
        "replication_factor": 1,
        "offsets": 3,
        "retention_ms": -1,
        "landed": False,
    }
    assert not [one for one in listed if one["name"].startswith("__")]
    assert topic in kafka.run("topic", "list").stdout


def test_a_name_that_kafka_does_not_take_is_one_sentence(kafka: RunningStack) -> None:
    done = kafka.run("topic", "create", "no such/name", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert "letters, digits" in done.stderr
