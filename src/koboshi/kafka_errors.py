"""kafka-python's errors as koboshi's: what a later try may heal, and what a person has to mend."""

from kafka.errors import BrokerResponseError, KafkaError

from koboshi.broker_errors import Trouble, trouble_of
from koboshi.errors import KoboshiError

_LONGEST_NAME = 300

# What the client itself raises; answers of a broker carry a code of the protocol.
_CLIENT = {
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
_BY_NAME = {name: trouble for trouble, names in _CLIENT.items() for name in names.split()}


def kind_of(error: type[KafkaError]) -> Trouble:
    """The kind of one class, by its own code or name, never by those of the class that it derives from."""
    if issubclass(error, BrokerResponseError) and error.errno is not None:
        return trouble_of(error.errno)
    return _BY_NAME.get(error.__name__, Trouble.UNFORESEEN)


def as_ours(error: KafkaError, servers: str, what: str) -> KoboshiError:
    """The error to raise in place of kafka-python's; `what` was being done with the cluster at `servers`."""
    kind = kind_of(type(error))
    name = type(error).__name__ if kind is Trouble.PASSES else " ".join(str(error).split())[:_LONGEST_NAME]
    return kind.said(servers, what, name)
