"""What the stream makes of Kafka's errors."""

import polars as pl
import pytest
from kafka.errors import (
    InvalidProducerEpochError,
    InvalidTimestampError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumberError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownProducerIdError,
)

from koboshi.errors import Permanent, Unavailable
from koboshi.project.kafka_stream import KafkaStream, Stream

NOTHING = Stream("s", pl.DataFrame(), {})


@pytest.mark.parametrize(
    "error", [KafkaTimeoutError, OutOfOrderSequenceNumberError, UnknownProducerIdError, InvalidProducerEpochError]
)
def test_what_a_new_producer_heals_is_worth_another_try(error):
    """The stream goes on where it was."""
    with (
        pytest.raises(Unavailable, match=error.__name__),
        KafkaStream("broker:1", NOTHING).errors(),
    ):
        raise error


@pytest.mark.parametrize(
    "error", [InvalidTimestampError, MessageSizeTooLargeError, PolicyViolationError, TopicAuthorizationFailedError]
)
def test_what_the_broker_would_refuse_again_is_permanent(error):
    with (
        pytest.raises(Permanent, match=error.__name__),
        KafkaStream("broker:1", NOTHING).errors(),
    ):
        raise error
