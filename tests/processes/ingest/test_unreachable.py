"""A broker that is not there: 75 after a bounded wait, with a sentence that says what to do."""

import subprocess
import sys

import pytest

from koboshi.errors import Unavailable
from koboshi.ingest.confluent_audit import ConfluentBroker

NOWHERE = "127.0.0.1:1"


class OddMessage:
    """A message with a header name that confluent-kafka cannot hand out, as of its versions that may come."""

    def topic(self):
        return "t"

    def partition(self):
        return 0

    def offset(self):
        return 5

    def headers(self):
        return [(b"\xff".decode(), b"x")]


LANDER = "from koboshi.ingest.kafka_source import KafkaSource; KafkaSource({!r}, patience_s=0.5)"
TOPICS = "from koboshi.ingest import kafka_topics; kafka_topics.PATIENCE_S = 0.5; kafka_topics.list_topics({!r})"


def last_words_with(address: str, code: str = LANDER) -> str:
    """In a process of its own: kafka-python forgets the sockets of a client that it could not make."""
    program = code.format(address)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    return done.stderr.splitlines()[-1]


def test_the_lander_gives_up_after_its_patience():
    last = last_words_with(NOWHERE)
    assert "Unavailable: Kafka at 127.0.0.1:1 does not answer" in last
    assert last.endswith("see `koboshi status`, then try again.")


def test_topics_are_not_waited_for_longer_than_that():
    last = last_words_with(NOWHERE, TOPICS)
    assert "Unavailable: Kafka at 127.0.0.1:1 does not answer" in last


@pytest.mark.parametrize("code", [LANDER, TOPICS])
def test_an_address_that_is_none_is_a_setting_to_mend(code):
    """No retry heals it; kafka-python raises a ValueError of its own."""
    last = last_words_with("broker:kafka", code)
    assert "NotConfigured: 'broker:kafka' is not HOST:PORT" in last
    assert last.endswith("mend [kafka] bootstrap_servers in koboshi.toml.")


def test_the_audit_gives_up_after_its_patience():
    broker = ConfluentBroker(NOWHERE, patience_s=0.5)
    try:
        for ask in (
            lambda: broker.topic_id("t"),
            lambda: broker.first_offset("t", 0),
            lambda: list(broker.records("t", 0, 0, 5)),
            lambda: broker._headers.of(OddMessage()),
        ):
            with pytest.raises(Unavailable, match=r"(127.0.0.1:1 does not answer|does not come within).*try again"):
                ask()
    finally:
        broker.close()
