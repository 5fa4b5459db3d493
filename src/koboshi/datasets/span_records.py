"""The raw records that a cut pins, read from spans whose bytes were verified first."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from koboshi.errors import Conflict, Corrupt
from koboshi.files import verified_bytes
from koboshi.formats import content_digest
from koboshi.formats.cut import Cut, PartitionCut
from koboshi.formats.parquet_span import parse_span
from koboshi.formats.records import SpanContent
from koboshi.formats.span_files import count_tiling
from koboshi.ledger import Ledger, spans
from koboshi.refs import SpanRef

REPAIR = "run `koboshi ingest repair`, which reads it from the broker again"


@dataclasses.dataclass(frozen=True, slots=True)
class RawBatch:
    """Records of one partition, in the order of their offsets; keys and values as bytes or None."""

    topic: str
    partition: int
    offsets: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]


def read(ledger: Ledger, state_dir: Path, cut: Cut) -> Iterator[RawBatch]:
    """The records of a cut, span by span, topics and partitions in order.

    Each file's SHA-256 is verified before it is parsed (I2), and each partition's content digest is computed from the
    records themselves and compared with the cut once they are through: what was made of the batches counts only when
    the iterator ends. Raises `Corrupt`, which names the file, and `Conflict` when the spans do not reach the cut.
    """
    for topic, partitions in sorted(cut.topics.items()):
        landed = by_partition(spans.committed(ledger, topic))
        for partition, pinned in sorted(partitions.items()):
            yield from _partition(state_dir, topic, partition, pinned, landed[partition])


def content_before(state_dir: Path, span: SpanRef, end: int) -> str:
    """The content digest of a span's records below offset `end`, from its verified file."""
    return _load(state_dir, span).below(end).digest


def _partition(
    state_dir: Path, topic: str, partition: int, pinned: PartitionCut, landed: Sequence[SpanRef]
) -> Iterator[RawBatch]:
    wanted = [span for span in landed if span.range.start < pinned.end]
    _check_reach(f"{topic}[{partition}]", pinned, wanted)
    contents = []
    for span in wanted:
        columns = _load(state_dir, span).below(pinned.end)
        contents.append(columns.digest)
        yield RawBatch(topic, partition, columns.offsets, columns.keys, columns.values)
    if content_digest.add(contents) != pinned.content:
        raise Corrupt(
            f"the records of {topic}[{partition}] below {pinned.end} are not those that cut.json pins: "
            "run `koboshi ingest audit` to see where they differ."
        )


def _check_reach(name: str, pinned: PartitionCut, wanted: Sequence[SpanRef]) -> None:
    count = count_tiling([span.range for span in wanted], pinned.start)
    end = wanted[count - 1].range.end if count else pinned.start
    if end < pinned.end:
        raise Conflict(f"{name} is pinned up to {pinned.end}, but landed up to {end}: run `koboshi ingest run` first.")


def by_partition(refs: Iterable[SpanRef]) -> dict[int, list[SpanRef]]:
    """The spans of each partition, in their order."""
    found: dict[int, list[SpanRef]] = defaultdict(list)
    for ref in refs:
        found[ref.range.partition].append(ref)
    return found


def _load(state_dir: Path, span: SpanRef) -> SpanContent:
    path = state_dir / span.path
    return parse_span(verified_bytes(path, span.sha256, "the landed span", REPAIR), str(path))
