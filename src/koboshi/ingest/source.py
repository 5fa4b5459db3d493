"""What the lander asks of a stream: its logs, its identity, and the records of a range."""

import dataclasses
from collections.abc import Iterator
from typing import Protocol

from koboshi.refs import SpanRange

# A name is bytes: Kafka's brokers take any, UTF-8 or not.
Header = tuple[bytes, bytes | None]


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionLog:
    """What can be read of a partition just now: offsets [start, end), up to the last stable one.

    `held_back` is how many offsets there are behind `end`, up to the high watermark: an open transaction holds them
    back from every reader of committed records.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    held_back: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that was neither committed nor aborted yet, with records in a partition from `first_offset` on.

    `transactional_id` is empty where the cluster does not tell it; `last_at_ms` is the time of its last record.
    """

    topic: str
    partition: int
    first_offset: int
    producer_id: int
    transactional_id: str
    last_at_ms: int


@dataclasses.dataclass(slots=True)
class Records:
    """Records as they came, one list for each column, in order of offset; timestamps in milliseconds since 1970."""

    offsets: list[int] = dataclasses.field(default_factory=list)
    timestamps_ms: list[int] = dataclasses.field(default_factory=list)
    keys: list[bytes | None] = dataclasses.field(default_factory=list)
    values: list[bytes | None] = dataclasses.field(default_factory=list)
    headers: list[list[Header]] = dataclasses.field(default_factory=list)

    def extend(self, more: "Records") -> None:
        """Append records that come after these."""
        self.offsets += more.offsets
        self.timestamps_ms += more.timestamps_ms
        self.keys += more.keys
        self.values += more.values
        self.headers += more.headers

    def __len__(self) -> int:
        return len(self.offsets)


class Source(Protocol):
    """A stream of topics. Offsets may have holes; committed records never change.

    Raises `Unavailable` when it does not answer within a bounded time, `BadInput` for a topic that is not there,
    `Conflict` for offsets that cannot be read any more, `Corrupt` for bytes that are no records, another `Permanent`
    error for what no retry heals.
    """

    def logs(self, topic: str) -> list[PartitionLog]:
        """The logs of a topic, by partition."""
        ...

    def topic_id(self, topic: str) -> str:
        """What tells this topic from an earlier or later one of the same name."""
        ...

    def read(self, span: SpanRange) -> Iterator[Records]:
        """All committed records with offsets in [start, end), in order, in batches (which may be empty)."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
