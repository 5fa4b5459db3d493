"""Every error code of librdkafka is of a kind that was chosen for it."""

import pytest
from confluent_kafka import KafkaError

from koboshi.broker_errors import Trouble, from_librdkafka, kind_of_librdkafka
from koboshi.errors import BadInput, Conflict, Corrupt, NotConfigured, Permanent, Unavailable

CODES = {name: code for name in dir(KafkaError) if isinstance(code := getattr(KafkaError, name), int)}


def test_every_code_is_mapped_on_purpose():
    """A code that comes new with librdkafka fails here, until a kind is chosen for it."""
    assert len(CODES) > 180
    assert [name for name, code in CODES.items() if kind_of_librdkafka(KafkaError(code)) is Trouble.UNFORESEEN] == []


@pytest.mark.parametrize(
    ("name", "ours", "said"),
    [
        ("_TRANSPORT", Unavailable, "broker:1 does not answer (t/0: _TRANSPORT, "),
        ("_ALL_BROKERS_DOWN", Unavailable, "try again."),
        ("LEADER_NOT_AVAILABLE", Unavailable, "try again."),
        ("_UNKNOWN_TOPIC", BadInput, "t/0 is not at broker:1"),
        ("_AUTO_OFFSET_RESET", Conflict, "no longer has these offsets"),
        ("_AUTHENTICATION", NotConfigured, "does not let this client in"),
        ("TOPIC_AUTHORIZATION_FAILED", NotConfigured, "grant the access"),
        ("_NOT_IMPLEMENTED", NotConfigured, "compressed with a codec that cannot be used here"),
        ("_BAD_COMPRESSION", NotConfigured, "compression.type"),
        ("_BAD_MSG", Corrupt, "bytes that are no records"),
        ("UNKNOWN", Permanent, "look into the broker's log"),
        ("_STATE", Permanent, "refuses what was asked"),
    ],
)
def test_each_kind_has_its_error_and_its_sentence(name, ours, said):
    raised = from_librdkafka(KafkaError(CODES[name]), "broker:1", "t/0")
    assert type(raised) is ours
    assert said in str(raised)


def test_an_unforeseen_code_is_permanent_and_named():
    raised = from_librdkafka(KafkaError(999), "broker:1", "t/0")
    assert (type(raised), "999" in str(raised)) == (Permanent, True)
