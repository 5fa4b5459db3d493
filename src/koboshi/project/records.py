"""The pinned records of a topic, decoded by the project; what it cannot decode is kept, with the reason."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from koboshi.datasets import span_records
from koboshi.datasets.span_records import RawBatch
from koboshi.errors import BadInput
from koboshi.formats import cut
from koboshi.formats.polars_tables import write_table
from koboshi.ledger import Ledger
from koboshi.settings import load_settings

DEAD_LETTERS = "dead_letters.parquet"
SCHEMA = pl.Schema(
    {
        "topic": pl.String(),
        "partition": pl.Int32(),
        "offset": pl.Int64(),
        "key": pl.Binary(),
        "value": pl.Binary(),
        "reason": pl.String(),
    }
)
Letter: TypeAlias = tuple[str, int, int, bytes | None, bytes | None, str]


def pinned_batches(folder: Path, topic: str | None = None) -> Iterator[RawBatch]:
    """The records that cut.json pins, of one topic or of all, as they were landed and verified."""
    settings, pinned = load_settings(folder), cut.read(folder / cut.FILE)
    if pinned is None:
        raise BadInput(f"there is no {cut.FILE} yet: land the stream (`koboshi ingest run`), then `koboshi pin`.")
    if topic is not None and topic not in pinned.topics:
        raise BadInput(f"{cut.FILE} pins {', '.join(sorted(pinned.topics))}, not {topic}: land it, then `koboshi pin`.")
    wanted = pinned if topic is None else cut.Cut(topics={topic: pinned.topics[topic]})
    return span_records.read(Ledger(settings.ledger_url), settings.state_dir, wanted)


def pinned_records(folder: Path, topic: str, decode: Callable[[bytes], Any]) -> tuple[list[Any], list[Letter]]:
    """What was decoded, and the dead letters: together all records of the topic that cut.json pins."""
    rows, letters = list[Any](), list[Letter]()
    for batch in pinned_batches(folder, topic):
        for offset, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True):
            if isinstance(row := decoded(decode, value), Refused):
                letters.append((topic, batch.partition, offset, key, value, row.reason))
            else:
                rows.append(row)
    return rows, letters


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """A value that a decoder did not take."""

    reason: str


def decoded(decode: Callable[[bytes], Any], value: bytes | None) -> Any:
    """What a decoder makes of a value, or `Refused`, for whatever reason."""
    if value is None:
        return Refused("the record has no value")
    try:
        return decode(value)
    except Exception as error:  # noqa: BLE001 (a decoder of a person's may refuse with anything)
        return Refused(f"{type(error).__name__}: {error}")


def write_dead_letters(out: Path, letters: Sequence[Letter]) -> str:
    """Keep them in the dataset, if there are any; and say so, as the end of a sentence."""
    if not letters:
        return ""
    write_table(pl.DataFrame(list(letters), schema=SCHEMA, orient="row"), out / DEAD_LETTERS)
    return f"; {len(letters):,} records could not be decoded, and are in its {DEAD_LETTERS}"
