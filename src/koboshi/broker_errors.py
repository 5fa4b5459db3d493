"""Kafka's error codes by kind: what a later try may heal, and what a person has to mend. Pure, without a client.

Each code of the protocol stands in one kind on purpose. A code that stands in none is permanent, and its sentence names
the code: an error that was never thought of must not be tried again for ever.
"""

import enum
from typing import Any

from koboshi.errors import BadInput, Conflict, Corrupt, KoboshiError, NotConfigured, Permanent, Unavailable


class Trouble(enum.Enum):
    """A kind of failure: the error that it is, and its sentence."""

    PASSES = Unavailable, "Kafka at {servers} does not answer ({what}: {name}): see `koboshi status`, then try again."
    NO_TOPIC = (
        BadInput,
        "{what} is not at {servers}: make it with `koboshi topic create`, or mend koboshi.toml ([ingest] topics).",
    )
    GONE = Conflict, "{what}: the broker no longer has these offsets: run `koboshi ingest audit`."
    SHUT_OUT = (
        NotConfigured,
        (
            "Kafka at {servers} does not let this client in ({what}: {name}): mend its credentials, or have the "
            "cluster's administrator grant the access."
        ),
    )
    VERSION = (
        NotConfigured,
        (
            "Kafka at {servers} and this client share no version of the protocol ({what}: {name}): check the address, "
            "and upgrade the older side."
        ),
    )
    CODEC = (
        NotConfigured,
        (
            "{what}: a batch is compressed with a codec that cannot be used here ({name}): install "
            "koboshi[kafka,audit] anew, or set the producer's compression.type to gzip, snappy, lz4 or zstd."
        ),
    )
    CORRUPT = (
        Corrupt,
        (
            "{what}: the broker sent bytes that are no records ({name}): put the partition right from another replica "
            "or a backup of Kafka's log."
        ),
    )
    TOO_LARGE = (
        BadInput,
        (
            "{what}: a record is larger than Kafka at {servers} takes ({name}): raise max.message.bytes of its topic, "
            "or send smaller records."
        ),
    )
    BAD_NAME = (
        BadInput,
        (
            "{what}: Kafka takes letters, digits, dots, hyphens and underscores for a topic's name, at most 249 "
            "({name}): choose another name."
        ),
    )
    BAD_TIME = (
        BadInput,
        (
            "{what}: the broker refuses the time of a record ({name}): mend the record, or raise "
            "message.timestamp.after.max.ms of its topic."
        ),
    )
    BAD_RECORD = (
        BadInput,
        "{what}: the broker refuses a record ({name}): mend the record; a compacted topic takes none without a key.",
    )
    BAD_SETTING = (
        NotConfigured,
        "Kafka at {servers} refuses a setting ({what}: {name}): mend koboshi.toml, or the broker's configuration.",
    )
    REFUSED = Permanent, "Kafka at {servers} refuses what was asked ({what}: {name}): look into the broker's log."
    UNFORESEEN = (
        Permanent,
        (
            "Kafka at {servers} answers with an error that this koboshi does not know ({what}: {name}): look into the "
            "broker's log, and upgrade koboshi."
        ),
    )

    def said(self, servers: str, what: str, name: str) -> KoboshiError:
        """The error to raise: `what` was being done, `name` is the failure's name with the client."""
        kind, sentence = self.value
        error: KoboshiError = kind(sentence.format(servers=servers, what=what, name=name))
        return error


def trouble_of(code: int) -> Trouble:
    """The kind of a code of Kafka's protocol."""
    return _BY_CODE.get(code, Trouble.UNFORESEEN)


_CODES = {
    Trouble.PASSES: """
        5 LEADER_NOT_AVAILABLE  6 NOT_LEADER_OR_FOLLOWER  7 REQUEST_TIMED_OUT  8 BROKER_NOT_AVAILABLE
        9 REPLICA_NOT_AVAILABLE  13 NETWORK_EXCEPTION  14 COORDINATOR_LOAD_IN_PROGRESS  15 COORDINATOR_NOT_AVAILABLE
        16 NOT_COORDINATOR  19 NOT_ENOUGH_REPLICAS  20 NOT_ENOUGH_REPLICAS_AFTER_APPEND  27 REBALANCE_IN_PROGRESS
        41 NOT_CONTROLLER  51 CONCURRENT_TRANSACTIONS  55 OPERATION_NOT_ATTEMPTED  56 KAFKA_STORAGE_ERROR
        60 REASSIGNMENT_IN_PROGRESS  70 FETCH_SESSION_ID_NOT_FOUND  71 INVALID_FETCH_SESSION_EPOCH
        72 LISTENER_NOT_FOUND  74 FENCED_LEADER_EPOCH  75 UNKNOWN_LEADER_EPOCH  77 STALE_BROKER_EPOCH
        78 OFFSET_NOT_AVAILABLE  80 PREFERRED_LEADER_NOT_AVAILABLE  83 ELIGIBLE_LEADERS_NOT_AVAILABLE
        88 UNSTABLE_OFFSET_COMMIT  89 THROTTLING_QUOTA_EXCEEDED  103 INCONSISTENT_TOPIC_ID
        106 FETCH_SESSION_TOPIC_ID_ERROR  108 NEW_LEADER_ELECTED  122 SHARE_SESSION_NOT_FOUND
        123 INVALID_SHARE_SESSION_EPOCH  129 REBOOTSTRAP_REQUIRED  133 SHARE_SESSION_LIMIT_REACHED""",
    Trouble.NO_TOPIC: "3 UNKNOWN_TOPIC_OR_PARTITION  100 UNKNOWN_TOPIC_ID",
    Trouble.GONE: "1 OFFSET_OUT_OF_RANGE  99 POSITION_OUT_OF_RANGE  109 OFFSET_MOVED_TO_TIERED_STORAGE",
    Trouble.SHUT_OUT: """
        29 TOPIC_AUTHORIZATION_FAILED  30 GROUP_AUTHORIZATION_FAILED  31 CLUSTER_AUTHORIZATION_FAILED
        33 UNSUPPORTED_SASL_MECHANISM  34 ILLEGAL_SASL_STATE  53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        54 SECURITY_DISABLED  58 SASL_AUTHENTICATION_FAILED  61 DELEGATION_TOKEN_AUTH_DISABLED
        62 DELEGATION_TOKEN_NOT_FOUND  63 DELEGATION_TOKEN_OWNER_MISMATCH  64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        65 DELEGATION_TOKEN_AUTHORIZATION_FAILED  66 DELEGATION_TOKEN_EXPIRED  67 INVALID_PRINCIPAL_TYPE
        93 UNACCEPTABLE_CREDENTIAL  97 PRINCIPAL_DESERIALIZATION_FAILURE""",
    Trouble.VERSION: "35 UNSUPPORTED_VERSION  43 UNSUPPORTED_FOR_MESSAGE_FORMAT",
    Trouble.CODEC: "76 UNSUPPORTED_COMPRESSION_TYPE",
    Trouble.CORRUPT: "2 CORRUPT_MESSAGE",
    Trouble.TOO_LARGE: "10 MESSAGE_TOO_LARGE  18 RECORD_LIST_TOO_LARGE",
    Trouble.BAD_NAME: "17 INVALID_TOPIC_EXCEPTION",
    Trouble.BAD_TIME: "32 INVALID_TIMESTAMP",
    Trouble.BAD_RECORD: "87 INVALID_RECORD",
    Trouble.BAD_SETTING: """
        12 OFFSET_METADATA_TOO_LARGE  21 INVALID_REQUIRED_ACKS  24 INVALID_GROUP_ID  26 INVALID_SESSION_TIMEOUT
        28 INVALID_COMMIT_OFFSET_SIZE  37 INVALID_PARTITIONS  38 INVALID_REPLICATION_FACTOR
        39 INVALID_REPLICA_ASSIGNMENT  40 INVALID_CONFIG  44 POLICY_VIOLATION  50 INVALID_TRANSACTION_TIMEOUT
        73 TOPIC_DELETION_DISABLED  104 INCONSISTENT_CLUSTER_ID  114 MISMATCHED_ENDPOINT_TYPE
        115 UNSUPPORTED_ENDPOINT_TYPE""",
    # Of requests that koboshi does not make, or that fail the same way again.
    Trouble.REFUSED: """
        -1 UNKNOWN_SERVER_ERROR  0 NONE  4 INVALID_FETCH_SIZE  11 STALE_CONTROLLER_EPOCH  22 ILLEGAL_GENERATION
        23 INCONSISTENT_GROUP_PROTOCOL  25 UNKNOWN_MEMBER_ID  36 TOPIC_ALREADY_EXISTS  42 INVALID_REQUEST
        45 OUT_OF_ORDER_SEQUENCE_NUMBER  46 DUPLICATE_SEQUENCE_NUMBER  47 INVALID_PRODUCER_EPOCH  48 INVALID_TXN_STATE
        49 INVALID_PRODUCER_ID_MAPPING  52 TRANSACTION_COORDINATOR_FENCED  57 LOG_DIR_NOT_FOUND
        59 UNKNOWN_PRODUCER_ID  68 NON_EMPTY_GROUP  69 GROUP_ID_NOT_FOUND  79 MEMBER_ID_REQUIRED
        81 GROUP_MAX_SIZE_REACHED  82 FENCED_INSTANCE_ID  84 ELECTION_NOT_NEEDED  85 NO_REASSIGNMENT_IN_PROGRESS
        86 GROUP_SUBSCRIBED_TO_TOPIC  90 PRODUCER_FENCED  91 RESOURCE_NOT_FOUND  92 DUPLICATE_RESOURCE
        94 INCONSISTENT_VOTER_SET  95 INVALID_UPDATE_VERSION  96 FEATURE_UPDATE_FAILED  98 SNAPSHOT_NOT_FOUND
        101 DUPLICATE_BROKER_REGISTRATION  102 BROKER_ID_NOT_REGISTERED  105 TRANSACTIONAL_ID_NOT_FOUND
        107 INELIGIBLE_REPLICA  110 FENCED_MEMBER_EPOCH  111 UNRELEASED_INSTANCE_ID  112 UNSUPPORTED_ASSIGNOR
        113 STALE_MEMBER_EPOCH  116 UNKNOWN_CONTROLLER_ID  117 UNKNOWN_SUBSCRIPTION_ID  118 TELEMETRY_TOO_LARGE
        119 INVALID_REGISTRATION  120 TRANSACTION_ABORTABLE  121 INVALID_RECORD_STATE  124 FENCED_STATE_EPOCH
        125 INVALID_VOTER_KEY  126 DUPLICATE_VOTER  127 VOTER_NOT_FOUND  128 INVALID_REGULAR_EXPRESSION
        130 STREAMS_INVALID_TOPOLOGY  131 STREAMS_INVALID_TOPOLOGY_EPOCH  132 STREAMS_TOPOLOGY_FENCED""",
}
_BY_CODE = {int(code): trouble for trouble, codes in _CODES.items() for code in codes.split()[::2]}


_LONGEST_NAME = 300

# What the client itself raises; answers of a broker carry a code of the protocol.
_KAFKA_PYTHON = {
    Trouble.PASSES: """
        RetriableError InvalidMetadataError Cancelled KafkaConnectionError CorrelationIdError KafkaTimeoutError
        MetadataEmptyBrokerList NodeNotReadyError StaleMetadata TooManyInFlightRequests UnknownBrokerIdError
        UnjoinedGroupException""",
    Trouble.GONE: "NoOffsetForPartitionError LogTruncationError",
    Trouble.SHUT_OUT: "AuthorizationError",
    Trouble.VERSION: "KafkaProtocolError InvalidReceiveError UnrecognizedBrokerVersion",
    Trouble.CODEC: "UnsupportedCodecError",
    Trouble.TOO_LARGE: "RecordTooLargeError",
    Trouble.BAD_SETTING: "KafkaConfigurationError IllegalArgumentError",
    Trouble.REFUSED: """
        KafkaError BrokerResponseError CommitFailedError IllegalStateError QuotaViolationError
        TransactionAbortedError""",
}
_BY_CLASS = {name: trouble for trouble, names in _KAFKA_PYTHON.items() for name in names.split()}


def kind_of_kafka_python(error: type[Exception]) -> Trouble:
    """The kind of one class, by its own code or name, never by those of the class that it derives from."""
    code = getattr(error, "errno", None)  # of the answers of a broker only
    return _BY_CLASS.get(error.__name__, Trouble.UNFORESEEN) if code is None else trouble_of(code)


def from_kafka_python(error: Exception, servers: str, what: str) -> KoboshiError:
    """The error to raise in place of kafka-python's; `what` was being done with the cluster at `servers`."""
    kind = kind_of_kafka_python(type(error))
    name = type(error).__name__ if kind is Trouble.PASSES else " ".join(str(error).split())[:_LONGEST_NAME]
    return kind.said(servers, what, name)


# The client's own codes are below zero, but for -1; the broker's are those of the protocol.
_LIBRDKAFKA = {
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
_BY_CODE_NAME = {name: trouble for trouble, names in _LIBRDKAFKA.items() for name in names.split()}


def kind_of_librdkafka(error: Any) -> Trouble:
    """The kind of one error, a `KafkaError` of confluent-kafka."""
    return _BY_CODE_NAME.get(error.name()) or trouble_of(error.code())


def from_librdkafka(error: Any, servers: str, what: str) -> KoboshiError:
    """The error to raise in place of librdkafka's; `what` was being done with the cluster at `servers`."""
    return kind_of_librdkafka(error).said(servers, what, f"{error.name()}, {error.str()}")
