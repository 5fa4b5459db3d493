"""The audit: are the committed spans, record by record, what the broker holds? It shares no code with the lander.

For each partition: *equal*, *no longer on the broker* (deleted there by retention, compacted away, or gone with its
topic; what is left is compared), *different at offset N*, or *broken* when a span's file is not the one that was
committed. What was gone before the first landing is counted, too.

A compacted topic lacks records, each of them for one reason: a later record of its key. So the records that only we
hold are counted, and those of them for which no such reason was seen are kept by their key.
"""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, pairwise, zip_longest
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from koboshi.errors import Corrupt
from koboshi.files import verify
from koboshi.ingest.parquet_audit import read_records
from koboshi.refs import Beginning, SpanRange, SpanRef

# offset, timestamp in ms, key, value, headers
Record: TypeAlias = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]
AuditOutcome = Literal["equal", "no longer on the broker", "different", "broken"]
END_OF_LOG = 2**63 - 1
OTHER = "the broker holds something else there"


class Broker(Protocol):
    """What the audit asks of a broker. Raises `Unavailable` when it does not answer in a bounded time."""

    def topic_id(self, topic: str) -> uuid.UUID | None:
        """The topic's id, or None when there is no such topic."""

    def first_offset(self, topic: str, partition: int) -> int:
        """The first offset that can still be read."""

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """All committed records with offsets in [start, end), or up to the end of the log if that comes first."""

    def is_compacted(self, topic: str) -> bool:
        """Whether the broker keeps only the newest record of each key of this topic."""


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionVerdict:
    """What the audit found of one partition.

    `records` is how many were landed, `no_longer_on_broker` how many of them the broker has deleted since, and
    `gone_before_landing` how many offsets it had deleted before the first landing came.
    """

    topic: str
    partition: int
    outcome: AuditOutcome
    records: int
    detail: str = ""
    offset: int | None = None
    no_longer_on_broker: int = 0
    gone_before_landing: int = 0

    @property
    def stands(self) -> bool:
        """Nothing contradicts the broker."""
        return self.outcome in ("equal", "no longer on the broker")


@dataclasses.dataclass(slots=True)
class Comparison:
    """Two sequences of records, each in order of offsets.

    `differs_at` is the lowest offset at which both have another record, or only the broker has one. `absent` counts
    the records that only we hold, the first of them at `absent_at`; `unexplained` has the offsets of those that no
    later record of their key explains, nor that they delete their key.
    """

    differs_at: int | None = None
    absent: int = 0
    absent_at: int | None = None
    unexplained: dict[bytes, int] = dataclasses.field(default_factory=dict)

    def see(self, ours: Record | None, theirs: Record | None) -> None:
        """Take the records of one offset, which are the same, or one of them is missing."""
        offset, _, key, value, _ = ours or theirs  # type: ignore[misc]
        if key is not None:
            self.unexplained.pop(key, None)
        if theirs is not None or ours is None:
            return
        self.absent += 1
        self.absent_at = offset if self.absent_at is None else self.absent_at
        if key is not None and value is not None:
            self.unexplained[key] = offset


def audit_topic(
    broker: Broker, state_dir: Path, spans: Sequence[SpanRef], beginnings: Mapping[int, Beginning] | None = None
) -> Iterator[PartitionVerdict]:
    """One verdict for each partition with committed spans, or with records that were gone before the first landing.

    `spans` are all of one topic, by partition and start; `beginnings` are where its landing began, by partition.
    """
    ours = {number: list(found) for number, found in groupby(spans, key=lambda span: span.range.partition)}
    begun = beginnings or {}
    for partition in sorted(ours.keys() | {number for number, one in begun.items() if one.start > 0}):
        found, beginning = ours.get(partition, []), begun.get(partition)
        verdict = _audit_partition(broker, state_dir, found[0].range if found else begun[partition], found, beginning)
        yield _with_beginning(verdict, beginning)


def _audit_partition(
    broker: Broker, state_dir: Path, first: SpanRange | Beginning, spans: list[SpanRef], begun: Beginning | None
) -> PartitionVerdict:
    equal = PartitionVerdict(first.topic, first.partition, "equal", sum(span.records for span in spans))
    if (hole := _first_untiled(spans, begun)) is not None:
        return replace(equal, outcome="different", offset=hole, detail="committed spans leave a gap or overlap there")
    try:
        for span in spans:
            verify(state_dir / span.path, span.sha256, "the landed span", "run `koboshi ingest repair`")
    except Corrupt as error:
        return replace(equal, outcome="broken", detail=str(error))
    if (found := broker.topic_id(first.topic)) is None or str(found) != first.topic_id:
        return _gone(equal, equal.records, f"the topic was deleted{'' if found is None else ' and made again'}")
    return _compare(broker, state_dir, first.start, spans, equal)


def _compare(
    broker: Broker, state_dir: Path, start: int, spans: list[SpanRef], equal: PartitionVerdict
) -> PartitionVerdict:
    """The verdict on what the broker still has, from its first offset on."""
    end = spans[-1].range.end if spans else start
    oldest = min(broker.first_offset(equal.topic, equal.partition), end)
    expired, landed = _from(state_dir, spans, oldest)
    found = compare(landed, broker.records(equal.topic, equal.partition, oldest, end))
    if (wrong := _wrong(broker, equal, found, start, end)) is not None:
        offset, why = wrong
        return replace(equal, outcome="different", offset=offset, detail=why)
    if oldest <= start and not found.absent:
        return equal
    return _gone(equal, expired + found.absent, _which_are_gone(start, oldest, end, found.absent))


def _gone(equal: PartitionVerdict, records: int, detail: str) -> PartitionVerdict:
    return replace(equal, outcome="no longer on the broker", no_longer_on_broker=records, detail=detail)


def _from(state_dir: Path, spans: list[SpanRef], oldest: int) -> tuple[int, Iterator[Record]]:
    """How many landed records lie before an offset, and the records from it on."""
    before = sum(span.records for span in spans if span.range.end <= oldest)
    rows = chain.from_iterable(read_records(state_dir / span.path) for span in spans if span.range.end > oldest)
    for row in rows:
        if row[0] >= oldest:
            return before, chain([row], rows)
        before += 1
    return before, iter(())


def _wrong(broker: Broker, equal: PartitionVerdict, found: Comparison, start: int, end: int) -> tuple[int, str] | None:
    """The lowest offset at which something contradicts the broker, and what that is."""
    absent, differs = found.absent_at, found.differs_at
    if absent is not None and not broker.is_compacted(equal.topic):
        return absent, "the broker holds nothing there, in a topic that is not compacted"
    if differs is not None:
        return differs, OTHER if differs >= start else f"the broker holds a record there, and landing began at {start}"
    later = broker.records(equal.topic, equal.partition, end, END_OF_LOG) if found.unexplained else iter(())
    if not explain(found, end, later):
        why = "the broker holds neither this record nor a later one of its key, of which compaction keeps the newest"
        return min(found.unexplained.values()), why
    return None


def _which_are_gone(start: int, oldest: int, end: int, compacted: int) -> str:
    parts = [f"offsets {start} to {oldest - 1}"] if oldest > start else []
    parts += [f"{compacted} records that were compacted away"] if compacted else []
    rest = "" if oldest == end else "; all others are equal" if compacted else "; all later ones are equal"
    return " and ".join(parts) + rest


def _with_beginning(verdict: PartitionVerdict, begun: Beginning | None) -> PartitionVerdict:
    if begun is None or begun.start == 0:
        return verdict
    detail = "; ".join(filter(None, (verdict.detail.rstrip("."), begun.gone)))
    return replace(verdict, gone_before_landing=begun.start, detail=detail)


def _first_untiled(spans: list[SpanRef], begun: Beginning | None) -> int | None:
    """Where committed ranges stop following on each other, or on where their landing began (I1)."""
    if spans and begun is not None and spans[0].range.start != begun.start:
        return min(spans[0].range.start, begun.start)
    for before, after in pairwise(span.range for span in spans):
        if after.start != before.end:
            return min(after.start, before.end)
    return None


def compare(landed: Iterator[Record], held: Iterator[Record]) -> Comparison:
    """Compare up to the first difference; where the broker lacks some records, go on with those that both have."""
    for ours, theirs in zip_longest(landed, held):
        if ours != theirs:
            return _walk(_before(ours, landed), _before(theirs, held))
    return Comparison()


def _before(record: Record | None, rest: Iterator[Record]) -> Iterator[Record]:
    return rest if record is None else chain([record], rest)


def _walk(landed: Iterator[Record], held: Iterator[Record]) -> Comparison:
    found = Comparison()
    ours, theirs = next(landed, None), next(held, None)
    while ours is not None or theirs is not None:
        if ours is not None and (theirs is None or ours[0] < theirs[0]):
            found.see(ours, None)
            ours = next(landed, None)
        elif ours == theirs:
            found.see(ours, theirs)
            ours, theirs = next(landed, None), next(held, None)
        else:
            found.differs_at = theirs[0] if theirs is not None else None
            return found
    return found


def explain(found: Comparison, start: int, later: Iterator[Record]) -> bool:
    """Whether all that is absent is explained, by the records that come later than those compared, from `start` on.

    Where these have a hole themselves, a record that explains may be compacted away in turn: then nothing is said
    against those that are absent.
    """
    expected = start
    for record in later:
        if record[0] != expected:
            return True
        found.see(None, record)
        if not found.unexplained:
            return True
        expected += 1
    return not found.unexplained
