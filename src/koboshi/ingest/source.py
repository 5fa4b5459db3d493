"""What the lander asks of a stream: its logs, its identity, and the records of a range; and where sources are found."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from koboshi.formats.records import Records
from koboshi.refs import SpanRange

_SOURCE = "_source"
KINDS = tuple(
    found.name.removesuffix(_SOURCE)
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name.endswith(_SOURCE)
)
"""The kinds of stream that there is a `<kind>_source.py` for."""


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


@runtime_checkable
class TellsTransactions(Protocol):
    """A source that also knows whose open transactions hold records back."""

    def open_transactions(self, logs: Iterable[PartitionLog]) -> list[OpenTransaction]:
        """The transactions that hold records of these logs back, by partition and offset."""
        ...


def open_source(address: str) -> Source:
    """The source at an address: `<kind>://…` is for `<kind>_source.py`, HOST:PORT or a list of them is Kafka's.

    Raises `NotConfigured` for what is no address, `Unavailable` where nobody answers.
    """
    kind = address.partition("://")[0]
    module = importlib.import_module(f"koboshi.ingest.{kind if kind in KINDS else 'kafka'}_source")
    opened: Source = module.open_source(address)
    return opened


def open_transactions(source: Source, logs: Iterable[PartitionLog]) -> list[OpenTransaction]:
    """The open transactions that hold records of these logs back, as far as the source can tell."""
    return source.open_transactions(logs) if isinstance(source, TellsTransactions) else []
