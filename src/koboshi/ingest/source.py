"""What the lander asks of a stream: its logs, its identity, and the records of a range."""

import dataclasses
from collections.abc import Iterator
from typing import Protocol

from koboshi.formats.records import Records
from koboshi.refs import SpanRange


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
