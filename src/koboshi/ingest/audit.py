"""The audit: are the committed spans, record by record, what the broker holds? It shares no code with the lander.

For each partition: *equal*, *no longer on the broker* (deleted there by retention, or with its topic; what is left is
compared), *different at offset N*, or *broken* when a span's file is not the one that was committed.
"""

import dataclasses
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, dropwhile, groupby, pairwise, zip_longest
from pathlib import Path
from typing import Literal, Protocol

from koboshi.errors import Corrupt
from koboshi.files import verify
from koboshi.ingest.parquet_audit import read_records
from koboshi.refs import SpanRef

# offset, timestamp in ms, key, value, headers
Record = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]
Outcome = Literal["equal", "no longer on the broker", "different", "broken"]


class Broker(Protocol):
    """What the audit asks of a broker. Raises `Unavailable` when it does not answer in a bounded time."""

    def topic_id(self, topic: str) -> uuid.UUID | None:
        """The topic's id, or None when there is no such topic."""
        ...

    def first_offset(self, topic: str, partition: int) -> int:
        """The first offset that can still be read."""
        ...

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """All committed records with offsets in [start, end)."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit found of one partition; `records` is how many were landed."""

    topic: str
    partition: int
    outcome: Outcome
    records: int
    detail: str = ""
    offset: int | None = None

    @property
    def stands(self) -> bool:
        """Nothing contradicts the broker."""
        return self.outcome in ("equal", "no longer on the broker")


def audit_topic(broker: Broker, state_dir: Path, spans: Sequence[SpanRef]) -> Iterator[Verdict]:
    """One verdict for each partition with committed spans; `spans` are all of one topic, by partition and start."""
    for _, ours in groupby(spans, key=lambda span: span.range.partition):
        yield _audit_partition(broker, state_dir, list(ours))


def _audit_partition(broker: Broker, state_dir: Path, spans: list[SpanRef]) -> Verdict:
    first = spans[0].range
    equal = Verdict(first.topic, first.partition, "equal", sum(span.records for span in spans))
    if (hole := _first_untiled(spans)) is not None:
        return replace(equal, outcome="different", offset=hole, detail="committed spans leave a gap or overlap there")
    try:
        for span in spans:
            verify(state_dir / span.path, span.sha256, "the landed span", "run `koboshi ingest repair`")
    except Corrupt as error:
        return replace(equal, outcome="broken", detail=str(error))
    if (found := broker.topic_id(first.topic)) is None or str(found) != first.topic_id:
        what = "was deleted" if found is None else "was deleted and made again"
        return replace(equal, outcome="no longer on the broker", detail=f"the topic {what}")
    return _compare(broker, state_dir, spans, equal)


def _compare(broker: Broker, state_dir: Path, spans: list[SpanRef], equal: Verdict) -> Verdict:
    """The verdict on what the broker still has, from its first offset on."""
    start, end = spans[0].range.start, spans[-1].range.end
    oldest = min(max(start, broker.first_offset(equal.topic, equal.partition)), end)
    rows = chain.from_iterable(read_records(state_dir / span.path) for span in spans if span.range.end > oldest)
    landed = dropwhile(lambda record: record[0] < oldest, rows)
    offset = first_difference(landed, broker.records(equal.topic, equal.partition, oldest, end))
    if offset is not None:
        return replace(equal, outcome="different", offset=offset)
    if oldest > start:
        detail = f"offsets {start} to {oldest - 1}" + ("" if oldest == end else "; all later ones are equal")
        return replace(equal, outcome="no longer on the broker", detail=detail)
    return equal


def first_difference(landed: Iterator[Record], held: Iterator[Record]) -> int | None:
    """The lowest offset at which the two differ in anything, or only one of them has a record."""
    for ours, theirs in zip_longest(landed, held):
        if ours != theirs:
            return min(record[0] for record in (ours, theirs) if record is not None)
    return None


def _first_untiled(spans: list[SpanRef]) -> int | None:
    """Where committed ranges stop following on each other (I1)."""
    for before, after in pairwise(span.range for span in spans):
        if after.start != before.end:
            return min(after.start, before.end)
    return None
