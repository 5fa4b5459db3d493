"""Pinning: what was landed becomes what the datasets are made of. The cut moves forward only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from koboshi.datasets import span_records
from koboshi.errors import Conflict, Permanent
from koboshi.formats import content_digest, cut
from koboshi.formats.cut import FILE, Cut, PartitionCut
from koboshi.formats.span_files import count_tiling
from koboshi.ledger import Ledger, spans
from koboshi.refs import SpanRef

Landed = Mapping[str, Mapping[int, Sequence[SpanRef]]]
"""The committed spans by topic and partition, each list in order and without a gap."""


class NothingLanded(Permanent):
    """There is no committed span to pin."""


def pin(ledger: Ledger, state_dir: Path, topics: Iterable[str], cut_path: Path) -> tuple[Cut, bool]:
    """Move the cut to the end of what was landed. Returns it, and whether it moved.

    Key: the spans' content digests. The only commit is the rename of the cut's file: under a crash it is the old one or
    the new one, and pinning again gives the same. An unchanged cut leaves the file alone. Two pins wait for each other.
    Raises `Conflict` on a step back, a gap or other records than those pinned, `NothingLanded`.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(state_dir / "pin.lock"):  # a slow pin may not undo a later one; the kernel frees it with its holder
        pinned = cut.read(cut_path)
        landed = _landed(ledger, topics)
        if not landed:
            raise NothingLanded("no span was landed yet: run `koboshi ingest run` first.")
        wanted = advance(pinned, landed, lambda span, end: span_records.content_before(state_dir, span, end))
        if wanted != pinned:
            cut.write(cut_path, wanted)
        return wanted, wanted != pinned


def advance(pinned: Cut | None, landed: Landed, content_before: Callable[[SpanRef, int], str]) -> Cut:
    """The cut that reaches to the end of what was landed; pure but for `content_before`.

    `content_before(span, end)` is the content digest of a span's records below `end`; it is asked only where the pinned
    end lies inside a span, because another clone cut its spans elsewhere. Raises `Conflict` on a gap, on a step back,
    and when the landed records are not those that were pinned.
    """
    topics = {topic: {p: _reach(topic, p, spans) for p, spans in parts.items()} for topic, parts in landed.items()}
    for topic, partitions in (pinned.topics if pinned else {}).items():
        for partition, old in partitions.items():
            _check_forward(f"{topic}[{partition}]", old, topics.get(topic, {}).get(partition))
            _check_same(topic, partition, old, landed[topic][partition], content_before)
    return Cut(topics=topics)


def _reach(topic: str, partition: int, spans: Sequence[SpanRef]) -> PartitionCut:
    ranges = [span.range for span in spans]
    if (count := count_tiling(ranges, ranges[0].start)) < len(ranges):
        raise Conflict(
            f"{topic}[{partition}] has a gap from {ranges[count - 1].end} to {ranges[count].start}: "
            "run `koboshi ingest run`, then pin again."
        )
    return PartitionCut(
        start=ranges[0].start, end=ranges[-1].end, content=content_digest.add(span.content for span in spans)
    )


def _check_forward(name: str, old: PartitionCut, new: PartitionCut | None) -> None:
    if new is None or new.end < old.end:
        raise Conflict(
            f"{name} is pinned up to {old.end}, but landed only up to {new.end if new else 0}, and a cut goes forward: "
            f"land the rest (`koboshi ingest run`), or remove {FILE} to begin a new one."
        )
    if new.start != old.start:
        raise Conflict(
            f"{name} is pinned from {old.start}, but landed from {new.start}, so it is another stream: "
            f"remove {FILE} to begin a new cut."
        )


def _check_same(
    topic: str,
    partition: int,
    old: PartitionCut,
    spans: Sequence[SpanRef],
    content_before: Callable[[SpanRef, int], str],
) -> None:
    parts = [
        span.content if span.range.end <= old.end else content_before(span, old.end)
        for span in spans
        if span.range.start < old.end
    ]
    if content_digest.add(parts) != old.content:
        raise Conflict(
            f"{topic}[{partition}] holds other records below {old.end} than were pinned, so it is another stream: "
            f"remove {FILE} to begin a new cut."
        )


def _landed(ledger: Ledger, topics: Iterable[str]) -> Landed:
    by_topic = {topic: span_records.by_partition(spans.committed(ledger, topic)) for topic in topics}
    return {topic: partitions for topic, partitions in by_topic.items() if partitions}
