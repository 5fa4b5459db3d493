"""The lander: plans, reads and commits spans; whatever it is interrupted in, the next one finishes.

It repairs, too: a committed span whose file is lost or changed is read again, and must come out the same. What to land
is decided by pure functions, from what the ledger has and what the log holds.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

from koboshi.errors import Conflict, LeaseTaken
from koboshi.events import LandedLate, Sink, SpanLanded, unheard
from koboshi.files import publish, sha256_of
from koboshi.formats.content_digest import content_digest
from koboshi.formats.parquet_span import FORMAT_VERSION, write_span
from koboshi.formats.records import Records
from koboshi.formats.span_files import file_name, partition_folder
from koboshi.ingest.source import PartitionLog, Source
from koboshi.ingest.stray_files import check_known, sweep
from koboshi.ledger import Ledger, spans
from koboshi.ledger.leases import HeldLease, Lease, holding
from koboshi.refs import Beginning, SpanRange, SpanRef


@dataclasses.dataclass(frozen=True, slots=True)
class Lander:
    """Where to land, and how. `holder` names this process in leases; `emit` hears of each committed span.

    `held_back` gets each log with records behind an open transaction.
    """

    ledger: Ledger
    source: Source
    state_dir: Path
    holder: str
    span_records: int = 100_000
    lease_s: float = 30.0
    emit: Sink = unheard
    held_back: Callable[[PartitionLog], None] = lambda _log: None

    def land_topic(self, topic: str) -> list[SpanRef]:
        """Land all that the topic holds at this moment, and return what was committed.

        Partitions that another lander holds come last. Raises `LeaseTaken` when it holds one for longer than a lease:
        it is alive then, and works on it.
        """
        done, taken = [], []
        for log in self.source.logs(topic):
            if log.held_back:
                self.held_back(log)
            try:
                done += self.land_partition(log)
            except LeaseTaken:
                taken.append(log)
        for log in taken:
            done += self.land_partition(log, wait_s=self.lease_s)
        return done

    def land_partition(self, log: PartitionLog, wait_s: float = 0.0) -> list[SpanRef]:
        """Land one partition up to the end of this log: ranges that were planned before come first, unchanged.

        Raises `Conflict`, before anything is planned or swept, where span files are there that a lost ledger has known.
        """
        with self.holding(log.topic, log.partition, wait_s) as held:
            check_known(self.ledger, self.state_dir, log.topic, log.partition)
            sweep(self.ledger, self.state_dir, log.topic, log.partition)
            return [self._land(held, span, log) for span in self._planned(held.lease, log)]

    def holding(self, topic: str, partition: int, wait_s: float) -> AbstractContextManager[HeldLease]:
        """Hold a partition's lease; waits up to `wait_s` for another holder, then raises `LeaseTaken`."""
        return holding(self.ledger, f"land/{topic}/{partition}", self.holder, self.lease_s, wait_s)

    def _planned(self, lease: Lease, log: PartitionLog) -> list[SpanRange]:
        """Write down what is new in the log, and first of all where it begins; all that is planned and not landed."""
        known = spans.frontier(self.ledger, log.topic, log.partition)
        new = plan_spans(log, known.last, self.span_records)
        spans.plan(self.ledger, lease, new)
        beginning = Beginning(log.topic, log.topic_id, log.partition, log.start)
        if known.last is None and not new:
            spans.begin(self.ledger, lease, beginning)
        if known.last is None and beginning.start > 0:
            self.emit(LandedLate(topic=log.topic, partition=log.partition, start=log.start, gone=beginning.gone))
        return [*known.planned, *new]

    def _land(self, held: HeldLease, span: SpanRange, log: PartitionLog) -> SpanRef:
        check_readable(span, log)
        ref = write_range(self.source, self.state_dir, span, held.keep)
        spans.commit(self.ledger, held.lease, ref)
        self.emit(
            SpanLanded(topic=span.topic, partition=span.partition, start=span.start, end=span.end, records=ref.records)
        )
        return ref


def plan_spans(log: PartitionLog, last: SpanRange | None, span_records: int) -> list[SpanRange]:
    """The ranges still to be planned: they tile from the end of the last planned one to the end of the log (I1).

    `last` is the newest planned or committed range of this partition. None is longer than `span_records` offsets.
    Raises `Conflict` when the log cannot follow on what was planned before.
    """
    if last is not None:
        _check_follows(log, last)
    edges = [*range(log.start if last is None else last.end, log.end, span_records), log.end]
    return [SpanRange(log.topic, log.topic_id, log.partition, begin, end) for begin, end in pairwise(edges)]


def check_readable(span: SpanRange, log: PartitionLog) -> None:
    """Raise `Conflict` unless all of a planned range can be read from this log."""
    _check_same_topic(span, log)
    if span.start < log.start:
        raise Conflict(
            f"{_named(log)}: offsets {span.start} to {min(span.end, log.start) - 1} were deleted before they were "
            "landed: give the topic a longer retention, and land it under a new name."
        )
    if span.end > log.end:
        raise Conflict(_truncated(log, span.end))


def _check_follows(log: PartitionLog, last: SpanRange) -> None:
    _check_same_topic(last, log)
    if log.end < last.end:
        raise Conflict(_truncated(log, last.end))
    if log.start > last.end:
        raise Conflict(
            f"{_named(log)}: offsets {last.end} to {log.start - 1} were deleted before they were landed: give the "
            "topic a longer retention, and land it under a new name."
        )


def _check_same_topic(span: SpanRange, log: PartitionLog) -> None:
    if span.topic_id != log.topic_id:
        raise Conflict(f"topic {log.topic} was deleted and made again since its last landing: give it a new name.")


def _truncated(log: PartitionLog, end: int) -> str:
    return (
        f"{_named(log)} ends at {log.end}, but {end} was its end before: the broker lost records; restore it, or land "
        "the topic under a new name."
    )


def _named(log: PartitionLog) -> str:
    return f"partition {log.partition} of {log.topic}"


def write_range(
    source: Source, state_dir: Path, span: SpanRange, keep: Callable[[], None], span_format: int = FORMAT_VERSION
) -> SpanRef:
    """Read a range and publish its file, named by range and digest. Commits nothing: the ledger's row does.

    Under a crash there is no file, or a whole one that no row names: an orphan. The same range in the same format gives
    the same bytes.
    """
    _check_topic(source, span)
    records = Records()
    for batch in source.read(span):
        records.extend(batch)
        keep()
    _check_topic(source, span)
    published = publish(
        state_dir / partition_folder(span.topic, span.partition),
        lambda sha256: file_name(span, sha256),
        lambda path: write_span(path, records, span.topic_id, span_format),
    )
    content = content_digest(records.offsets, records.keys, records.values)
    path = published.path.relative_to(state_dir).as_posix()
    return SpanRef(span, path, published.sha256, content, len(records))


def _check_topic(source: Source, span: SpanRange) -> None:
    """Clients go by a topic's name, and read on silently in another one that was made under it."""
    if source.topic_id(span.topic) != span.topic_id:
        raise Conflict(f"topic {span.topic} was deleted and made again since it was planned: give it a new name.")


def repair_topic(lander: Lander, topic: str) -> Iterator[SpanRef]:
    """Put back each broken file of a topic, and yield its span. Changes no row: the row says what the bytes must be.

    Key: the committed row. Under a crash the file is as it was, or whole. Raises `Conflict` when the broker gives other
    records than were committed, or no longer has them.
    """
    for span in broken_spans(lander, topic):
        with lander.holding(topic, span.range.partition, lander.lease_s) as lease:
            found = _read_again(lander, span, lease)
            if found.path != span.path:
                raise Conflict(_refusal(span, found))
        yield span


def _read_again(lander: Lander, span: SpanRef, lease: HeldLease) -> SpanRef:
    """Write the file in today's format, or in the earlier one that gives what was committed; leave no other."""
    for span_format in range(FORMAT_VERSION, 0, -1):
        found = write_range(lander.source, lander.state_dir, span.range, lease.keep, span_format)
        if found.path == span.path:
            break
        (lander.state_dir / found.path).unlink()
    return found


def broken_spans(lander: Lander, topic: str) -> list[SpanRef]:
    """The committed spans whose files are not there, or not as committed."""
    committed = {span: lander.state_dir / span.path for span in spans.committed(lander.ledger, topic)}
    return [span for span, path in committed.items() if not path.is_file() or sha256_of(path) != span.sha256]


def _refusal(span: SpanRef, found: SpanRef) -> str:
    if (found.content, found.records) == (span.content, span.records):
        return f"{span.path} cannot be made again to the byte by this version of pyarrow: take it from a backup."
    return f"{span.path} cannot be made again: the broker gives other records than were landed; take it from a backup."
