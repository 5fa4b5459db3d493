"""The errors of librdkafka as koboshi's: what a later try may heal, and what a person has to mend."""

from confluent_kafka import KafkaError

from koboshi.broker_errors import Trouble, trouble_of
from koboshi.errors import KoboshiError

# The client's own codes are below zero, but for -1; the broker's are those of the protocol.
_CLIENT = {
    Trouble.PASSES: """
        _TRANSPORT _ALL_BROKERS_DOWN _RESOLVE _TIMED_OUT _MSG_TIMED_OUT _TIMED_OUT_QUEUE _NODE_UPDATE _DESTROY
        _DESTROY_BROKER _CRIT_SYS_RESOURCE _QUEUE_FULL _ISR_INSUFF _WAIT_COORD _WAIT_CACHE _IN_PROGRESS
        _PREV_IN_PROGRESS _INTR _OUTDATED _PARTIAL _RETRY _PURGE_QUEUE _PURGE_INFLIGHT _MAX_POLL_EXCEEDED
        _UNKNOWN_BROKER _ASSIGNMENT_LOST""",
    Trouble.NO_TOPIC: "_UNKNOWN_TOPIC _UNKNOWN_PARTITION",
    Trouble.GONE: "_AUTO_OFFSET_RESET _NO_OFFSET _LOG_TRUNCATION",
    Trouble.SHUT_OUT: "_AUTHENTICATION _SSL",
    Trouble.VERSION: "_UNSUPPORTED_FEATURE _UNKNOWN_PROTOCOL",
    Trouble.CODEC: "_BAD_COMPRESSION _NOT_IMPLEMENTED",
    Trouble.CORRUPT: "_BAD_MSG _UNDERFLOW",
    Trouble.BAD_SETTING: "_INVALID_ARG _NOT_CONFIGURED _INVALID_TYPE _FS _UNKNOWN_GROUP",
    Trouble.REFUSED: """
        _FAIL _PARTITION_EOF _EXISTING_SUBSCRIPTION _ASSIGN_PARTITIONS _REVOKE_PARTITIONS _CONFLICT _STATE
        _KEY_SERIALIZATION _VALUE_SERIALIZATION _KEY_DESERIALIZATION _VALUE_DESERIALIZATION _READ_ONLY _NOENT _FATAL
        _INCONSISTENT _GAPLESS_GUARANTEE _FENCED _APPLICATION _NOOP _INVALID_DIFFERENT_RECORD""",
}
_BY_NAME = {name: trouble for trouble, names in _CLIENT.items() for name in names.split()}


def kind_of(error: KafkaError) -> Trouble:
    """The kind of one error."""
    return _BY_NAME.get(error.name()) or trouble_of(error.code())


def as_ours(error: KafkaError, servers: str, what: str) -> KoboshiError:
    """The error to raise in place of librdkafka's; `what` was being done with the cluster at `servers`."""
    return kind_of(error).said(servers, what, f"{error.name()}, {error.str()}")
