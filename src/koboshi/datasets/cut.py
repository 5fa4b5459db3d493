"""The cut: for each partition, from where to where the datasets reach, and the content digest of what lies between.

`cut.json` is the lock file of the stream. It lives in git, moves forward only, and holds nothing that differs between
two clones that landed the same records: no topic ids, no span borders, no times.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from koboshi import content_digest
from koboshi.errors import BadInput, Conflict
from koboshi.files import publish_bytes
from koboshi.refs import SpanRef

FILE = "cut.json"
FORMAT_VERSION = 1
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Landed = Mapping[str, Mapping[int, Sequence[SpanRef]]]
"""The committed spans by topic and partition, each list in order and without a gap."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartitionCut(_Strict):
    """Offsets [start, end) and the content digest of their records."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    content: Hex64


class Cut(_Strict):
    """What the datasets are made of."""

    format: Literal[1] = 1
    topics: dict[str, dict[int, PartitionCut]]


def read(path: Path) -> Cut | None:
    """The cut in a file, or None where there is none yet; `BadInput` when it is none, or one of a newer format."""
    if not path.exists():
        return None
    try:
        return Cut.model_validate_json(path.read_bytes())
    except ValidationError as error:
        if newer := [problem["input"] for problem in error.errors() if _is_newer(problem)]:
            raise BadInput(
                f"{path} has format {newer[0]}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi."
            ) from error
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise BadInput(f"{path} is no cut of format 1 ({where}: {first['msg']}): take it from git again.") from error


def _is_newer(problem: Mapping[str, Any]) -> bool:
    return problem["loc"] == ("format",) and isinstance(problem["input"], int) and problem["input"] > FORMAT_VERSION


def write(path: Path, cut: Cut) -> None:
    """Publish the cut: whole or not at all, and the same bytes for the same cut."""
    publish_bytes(path, json.dumps(cut.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n")


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
    for before, after in itertools.pairwise(spans):
        if before.range.end != after.range.start:
            raise Conflict(
                f"{topic}[{partition}] has a gap from {before.range.end} to {after.range.start}: "
                "run `koboshi ingest run`, then pin again."
            )
    content = content_digest.add(span.content for span in spans)
    return PartitionCut(start=spans[0].range.start, end=spans[-1].range.end, content=content)


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
