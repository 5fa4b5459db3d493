"""The ledger's span rows, made again from the span files alone: what the files tell, and whether it fits together."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

from koboshi.errors import BadInput, Conflict, Corrupt
from koboshi.files import TEMPORARY_PREFIX, sha256_of
from koboshi.formats.parquet_span import read_span
from koboshi.formats.span_files import FOLDER, count_tiling, parsed_name
from koboshi.ledger import Ledger, database
from koboshi.refs import SpanRange, SpanRef


def rebuild_spans(
    ledger: Ledger, state_dir: Path, topic_ids: Mapping[str, str], read: Callable[[SpanRef], None]
) -> list[SpanRef]:
    """Give an empty ledger a committed row for each span that the files below `state_dir` make up.

    Each file's bytes, offsets and content are checked; `read` hears of each. Commit: `database.put_back`, one
    transaction, so that under a crash the ledger has all rows or none. Raises `Corrupt` or `Conflict`, with the names
    of the files, unless they tile each partition.
    """
    found = []
    for path in find_span_files(state_dir / FOLDER):
        found.append(read_span_file(path, state_dir))
        read(found[-1])
    if not found:
        raise BadInput(f"there is no span file below {state_dir / FOLDER}: there is nothing to rebuild.")
    landed = decide_spans(found, topic_ids)
    database.put_back(ledger, landed)
    return landed


_AWAY = "move it and the later files of its partition away, `koboshi ingest run` lands them again"


def find_span_files(folder: Path) -> list[Path]:
    """The files in `<topic>/<partition>` folders, without those that a killed lander was writing."""
    return [path for path in sorted(folder.glob("*/*/*")) if not path.name.startswith(TEMPORARY_PREFIX)]


def read_span_file(path: Path, state_dir: Path) -> SpanRef:
    """The span in a file: its bytes checked against its name, its offsets against its range, its digest made anew.

    `topic_id` is empty where the file does not tell it (format 1). Raises `Corrupt`, which names the file.
    """
    if (named := parsed_name(path.name)) is None:
        raise BadInput(f"{path} is not named as a landed span: move it away.")
    (start, end, digits), sha256 = named, sha256_of(path)
    if sha256[:16] != digits:
        raise Corrupt(f"{path} is not as it was landed ({sha256[:16]}): take it from a backup, or {_AWAY}.")
    found = read_span(path)
    if any(after <= before for before, after in pairwise([start - 1, *found.offsets, end])):
        raise Corrupt(f"{path} holds other offsets than its name says: take it from a backup, or {_AWAY}.")
    span = SpanRange(path.parent.parent.name, found.topic_id or "", int(path.parent.name), start, end)
    return SpanRef(span, path.relative_to(state_dir).as_posix(), sha256, found.digest, len(found.offsets))


def decide_spans(found: Iterable[SpanRef], topic_ids: Mapping[str, str]) -> list[SpanRef]:
    """The spans that tile each partition, from what all files tell; pure.

    Files of one range must agree in content, and count once (a lander that was overtaken left the other). Raises
    `Conflict`, with the names of both files, for ranges that overlap, leave a gap, or are of two topics of one name.
    `topic_ids` is asked where no file of a topic tells its id.
    """
    in_order = sorted(found, key=lambda span: (span.range.topic, span.range.partition, span.range.start, span.path))
    decided: list[SpanRef] = []
    for topic, spans in groupby(in_order, key=lambda span: span.range.topic):
        ours = list(spans)
        topic_id = _topic_id(topic, ours, topic_ids)
        decided += [replace(span, range=replace(span.range, topic_id=topic_id)) for span in _tiles(ours)]
    return decided


def _topic_id(topic: str, spans: Iterable[SpanRef], given: Mapping[str, str]) -> str:
    """Files that do not tell are taken to be of the topic that the others name."""
    told = {span.range.topic_id: span.path for span in spans if span.range.topic_id}
    if len(told) > 1:
        one, other, *_ = told.values()
        raise Conflict(f"{one} and {other} are of two topics that were both named {topic}: move those of one away.")
    if not told and topic not in given:
        raise BadInput(
            f"no span file of {topic} tells the topic's id (they have format 1): give it with "
            f"--topic-id {topic}=ID, as Kafka's tools describe the topic."
        )
    return next(iter(told), None) or given[topic]


def _tiles(spans: Iterable[SpanRef]) -> Iterator[SpanRef]:
    """Those that follow on each other, each range once."""
    for _, ours in groupby(spans, key=lambda span: span.range.partition):
        once = list(_once(ours))
        ranges = [span.range for span in once]
        if (count := count_tiling(ranges, ranges[0].start)) < len(once):
            raise _break(once[count - 1], once[count])
        yield from once


def _once(spans: Iterable[SpanRef]) -> Iterator[SpanRef]:
    last: SpanRef | None = None
    for span in spans:
        if last is None or last.range != span.range:
            last = span
            yield span
        elif (last.content, last.records) != (span.content, span.records):
            raise Conflict(f"{last.path} and {span.path} hold other records of the same range: move one away.")


def _break(last: SpanRef, span: SpanRef) -> Conflict:
    if span.range.start < last.range.end:
        return Conflict(f"{last.path} and {span.path} overlap: move the one away that was never committed.")
    return Conflict(
        f"between {last.path} and {span.path} the records from {last.range.end} on are missing: take their file "
        f"from a backup, or as for {span.path}, {_AWAY}."
    )
