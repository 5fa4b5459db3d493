"""What a project lends to the drill that poisons a stream: records, also poison, and its decoder."""

import dataclasses
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from koboshi.datasets.span_records import RawBatch
from koboshi.errors import NotConfigured

SOUND = "sound"
Fate = Literal["row", "duplicate", "dead letter"]


@dataclasses.dataclass(frozen=True, slots=True)
class MeantRecord:
    """A record, and what has to become of it; `kind` says in which way it is poison, or `SOUND`.

    `row` names the row that it becomes, or that it says again.
    """

    kind: str
    key: bytes | None
    value: bytes | None
    fate: Fate
    row: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """What was made of raw records: rows by name, dead letters by place (partition, offset), how many duplicates."""

    rows: Sequence[str]
    dead_letters: Sequence[tuple[int, int]]
    duplicates: int


class StreamWorkload(Protocol):
    """Named by the setting `drills.stream`."""

    def records(self, sound: int, oversized_bytes: int) -> Sequence[MeantRecord]:
        """So many sound records for one topic, and some of each kind of poison, among them one of that size."""

    def decode(self, batches: Iterable[RawBatch], folder: Path) -> Decoded:
        """What the project's own code makes of such records; `folder` is empty, and may be used."""


def load_stream_workload(target: str | None) -> StreamWorkload:
    """Import `package.module:name`."""
    if target is None:
        raise NotConfigured("no stream is set for drills: set drills.stream in koboshi.toml.")
    module, _, name = target.partition(":")
    try:
        workload: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotConfigured(f"setting drills.stream: {target} cannot be loaded ({error}).") from error
    found: StreamWorkload = workload
    return found
