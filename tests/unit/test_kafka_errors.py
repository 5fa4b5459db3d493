"""Every error of Kafka's is of a kind that was chosen for it, and its sentence says whether to try again."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator

import kafka
import pytest
from kafka import errors
from kafka.errors import KafkaError

from koboshi.broker_errors import Trouble, from_kafka_python, kind_of_kafka_python, trouble_of
from koboshi.errors import BadInput, Conflict, Corrupt, NotConfigured, Permanent, Unavailable

NOT_OURS = ("kafka.cli", "kafka.benchmarks", "kafka.__main__", "kafka.vendor")


def classes() -> list[type[KafkaError]]:
    """All that derives from KafkaError, wherever kafka-python has it."""
    for module in pkgutil.walk_packages(kafka.__path__, "kafka."):
        if not module.name.startswith(NOT_OURS) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(set(_below(KafkaError)), key=lambda error: error.__name__)


def _below(error: type[KafkaError]) -> Iterator[type[KafkaError]]:
    if getattr(sys.modules[error.__module__], error.__name__, None) is error and error.__module__.startswith("kafka."):
        yield error
    for derived in error.__subclasses__():
        yield from _below(derived)


def test_every_class_is_mapped_on_purpose() -> None:
    """A class that comes new with kafka-python fails here, until a kind is chosen for it."""
    assert len(classes()) > 150
    assert [error for error in classes() if kind_of_kafka_python(error) is Trouble.UNFORESEEN] == []


def test_what_kafka_python_would_try_again_is_tried_again() -> None:
    """But for a topic that is not there: no retry makes it; and for an election that is not needed."""
    permanent = {
        error.__name__ for error in classes() if error.retriable and kind_of_kafka_python(error) is not Trouble.PASSES
    }
    assert permanent == {"UnknownTopicOrPartitionError", "UnknownTopicIdError", "ElectionNotNeededError"}


@pytest.mark.parametrize(
    ("error", "ours", "said"),
    [
        (errors.KafkaTimeoutError("no answer"), Unavailable, "broker:1 does not answer (t/0: KafkaTimeoutError): see"),
        (errors.KafkaConnectionError(), Unavailable, "try again."),
        (errors.NotLeaderForPartitionError(), Unavailable, "try again."),
        (errors.UnknownTopicOrPartitionError(), BadInput, "t/0 is not at broker:1: make it"),
        (errors.OffsetOutOfRangeError({}), Conflict, "no longer has these offsets"),
        (errors.LogTruncationError({}), Conflict, "no longer has these offsets"),
        (errors.TopicAuthorizationFailedError({"t"}), NotConfigured, "does not let this client in"),
        (errors.SaslAuthenticationFailedError("wrong"), NotConfigured, "wrong): mend its credentials"),
        (errors.UnsupportedCodecError("zstd"), NotConfigured, "compressed with a codec that cannot be used here"),
        (errors.UnsupportedVersionError(), NotConfigured, "upgrade the older side"),
        (errors.InvalidReceiveError("4 GB"), NotConfigured, "check the address"),
        (errors.CorruptRecordError("x"), Corrupt, "bytes that are no records"),
        (errors.MessageSizeTooLargeError(), BadInput, "raise max.message.bytes of its topic"),
        (errors.InvalidTopicError(), BadInput, "choose another name"),
        (errors.InvalidTimestampError(), BadInput, "mend the record, or raise message.timestamp.after.max.ms"),
        (errors.InvalidRecordError(), BadInput, "a compacted topic takes none without a key"),
        (errors.KafkaConfigurationError("y"), NotConfigured, "refuses a setting"),
        (errors.UnknownError(), Permanent, "look into the broker's log"),
        (errors.for_code(999)("new"), Permanent, "does not know (t/0: [Error 999] UnrecognizedBrokerError: new)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, KafkaError) else "",
)
def test_each_kind_has_its_error_and_its_sentence(error: KafkaError, ours: type[Exception], said: str) -> None:
    raised = from_kafka_python(error, "broker:1", "t/0")
    assert type(raised) is ours
    assert said in str(raised)
    assert str(raised).count("\n") == 0
    assert str(raised).endswith(".")


def test_an_unforeseen_class_is_permanent_and_named_whatever_it_derives_from() -> None:
    class NewlyInventedError(errors.RetriableError):
        pass

    raised = from_kafka_python(NewlyInventedError("some\ntext " + "x" * 500), "broker:1", "t/0")
    assert type(raised) is Permanent
    assert "does not know (t/0: NewlyInventedError: some text x" in str(raised)
    assert len(str(raised)) < 600


def test_a_newer_brokers_code_that_the_client_does_not_know_is_of_its_kind() -> None:
    """Kafka 4 has codes that kafka-python 3.0.12 has no class for."""
    assert kind_of_kafka_python(errors.for_code(129)) is Trouble.PASSES
    assert [code for code in range(-1, 134) if trouble_of(code) is Trouble.UNFORESEEN] == []
