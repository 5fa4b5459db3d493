"""Headers with their names as bytes; those that are not UTF-8 are asked of librdkafka itself.

confluent-kafka has names as text. For a name that is not UTF-8 it returns a list with nothing in that place *and*
leaves an error behind. librdkafka, the library that it has loaded, hands out bytes: only functions of its public header
file are called here.
"""

import ctypes
import operator
import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, cimpl

from koboshi.broker_errors import Trouble, from_librdkafka, kind_of_librdkafka
from koboshi.errors import Conflict, Unavailable

Headers = list[tuple[bytes, bytes | None]]
# The next record that is asked for is read on to when it is so near; for a later one a fetch begins anew.
READ_ON_OFFSETS = 10_000
POLL_MS = 500
SENTENCE_BYTES = 512
CONSUMER = 1
NO_HEADERS = -156
NOWHERE = ("", -1, -1)
# In the place of `message.headers()`, which CPython compiles to a call that does not look at the error that is left
# behind: the list would be used, and the process die. This call looks, and raises SystemError.
_headers_as_text = operator.methodcaller("headers")


class _Message(ctypes.Structure):
    """`rd_kafka_message_t`."""

    _fields_ = (
        ("err", ctypes.c_int),
        ("topic", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("value", ctypes.c_void_p),
        ("value_size", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_size", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("private", ctypes.c_void_p),
    )


class HeaderReader:
    """The headers of messages, and a consumer of its own for those with other names; `settings` are librdkafka's."""

    def __init__(self, settings: Mapping[str, Any], patience_s: float) -> None:
        """Nothing is connected before the first call: few topics need one."""
        self._settings, self._patience_s = settings, patience_s
        self._library = _library()
        self._consumer: int | None = None
        self._next = NOWHERE

    def of(self, message: Message) -> Headers:
        """The headers of a message, each name up to its first zero byte.

        Raises `Conflict` when the broker has deleted the record before it could be read once more, and what
        `broker_errors` makes of librdkafka's errors.
        """
        try:
            return [(name.encode(), value) for name, value in _headers_as_text(message) or ()]
        except (SystemError, UnicodeDecodeError):
            place = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
        try:
            return self._read(*place)
        except KafkaException as error:
            what = f"{place[0]}/{place[1]} offset {place[2]}"
            raise from_librdkafka(error.args[0], str(self._settings["bootstrap.servers"]), what) from error

    def _read(self, topic: str, partition: int, offset: int) -> Headers:
        """The headers of one record, which is read once more."""
        self._go_to(topic, partition, offset)
        for message in self._messages(f"{topic}/{partition} offset {offset}"):
            self._next = (topic, partition, message.contents.offset + 1)
            if message.contents.offset == offset:
                return self._headers_of(message)
            if message.contents.offset > offset:
                break
        raise Conflict(f"{topic}/{partition} lost offset {offset} during the audit: run `koboshi ingest audit` again.")

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._consumer is not None:
            self._library.rd_kafka_consumer_close(self._consumer)
            self._library.rd_kafka_destroy(self._consumer)
            self._consumer, self._next = None, NOWHERE

    def _messages(self, what: str) -> Iterator[Any]:
        """Messages, each alive until the next one is asked for."""
        give_up_at = time.monotonic() + self._patience_s
        while time.monotonic() < give_up_at:
            if not (message := self._library.rd_kafka_consumer_poll(self._consumer, POLL_MS)):
                continue
            try:
                if not message.contents.err:
                    yield message
                elif kind_of_librdkafka(error := KafkaError(message.contents.err)) is not Trouble.PASSES:
                    raise KafkaException(error)
            finally:
                self._library.rd_kafka_message_destroy(message)
        raise Unavailable(f"{what} does not come within {self._patience_s:.0f} s: see `koboshi status`, try again.")

    def _headers_of(self, message: Any) -> Headers:
        headers, name, value, size = ctypes.c_void_p(), ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
        if error := self._library.rd_kafka_message_headers(message, ctypes.byref(headers)):
            if error == NO_HEADERS:
                return []
            raise KafkaException(KafkaError(error))
        places = ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)
        found: Headers = []
        while not self._library.rd_kafka_header_get_all(headers, len(found), *places):
            content = None if value.value is None else ctypes.string_at(value.value, size.value)
            found.append((name.value or b"", content))
        return found

    def _go_to(self, topic: str, partition: int, offset: int) -> None:
        """Let the next poll bring this record, or one that is not far before."""
        if self._consumer is None:
            self._consumer = self._connected()
        *place, position = self._next
        if place == [topic, partition] and position <= offset <= position + READ_ON_OFFSETS:
            return
        places = self._library.rd_kafka_topic_partition_list_new(1)
        self._library.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
        self._library.rd_kafka_topic_partition_list_set_offset(places, topic.encode(), partition, offset)
        error = self._library.rd_kafka_assign(self._consumer, places)
        self._library.rd_kafka_topic_partition_list_destroy(places)
        if error:
            raise KafkaException(KafkaError(error))

    def _connected(self) -> int:
        """A new consumer, which takes over its configuration."""
        words, configuration = ctypes.create_string_buffer(SENTENCE_BYTES), self._library.rd_kafka_conf_new()
        for name, value in self._settings.items():
            setting = name.encode(), str(value).lower().encode() if isinstance(value, bool) else str(value).encode()
            if self._library.rd_kafka_conf_set(configuration, *setting, words, SENTENCE_BYTES):
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG, words.value.decode()))
        consumer: int | None = self._library.rd_kafka_new(CONSUMER, configuration, words, SENTENCE_BYTES)
        if consumer is None:
            raise KafkaException(KafkaError(KafkaError._FAIL, words.value.decode()))
        self._library.rd_kafka_poll_set_consumer(consumer)
        return consumer


def _library() -> ctypes.CDLL:
    """The library that confluent-kafka's extension is linked with; its functions with the types of their arguments."""
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    message, partition = ctypes.POINTER(_Message), ctypes.c_int32
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, ()),
        ("rd_kafka_conf_set", number, (pointer, text, text, text, size)),
        ("rd_kafka_new", pointer, (number, pointer, text, size)),
        ("rd_kafka_poll_set_consumer", number, (pointer,)),
        ("rd_kafka_topic_partition_list_new", pointer, (number,)),
        ("rd_kafka_topic_partition_list_add", pointer, (pointer, text, partition)),
        ("rd_kafka_topic_partition_list_set_offset", number, (pointer, text, partition, ctypes.c_int64)),
        ("rd_kafka_topic_partition_list_destroy", None, (pointer,)),
        ("rd_kafka_assign", number, (pointer, pointer)),
        ("rd_kafka_consumer_poll", message, (pointer, number)),
        ("rd_kafka_message_headers", number, (message, pointer)),
        ("rd_kafka_header_get_all", number, (pointer, size, pointer, pointer, pointer)),
        ("rd_kafka_message_destroy", None, (message,)),
        ("rd_kafka_consumer_close", number, (pointer,)),
        ("rd_kafka_destroy", None, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
