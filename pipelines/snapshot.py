"""snapshot: the records that cut.json pins become rows, one for each transaction id.

Rows depend on the records alone, not on spans, crashes or duplicates (I4); what cannot be decoded is counted and kept.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from koboshi import RawBatch, write_days, write_table
from pipelines.decoding import MEANINGS, decode, without_duplicates
from pipelines.schemas import DEAD_LETTER_SCHEMA
from pipelines.topics import FRAUD_REPORTS, TRANSACTIONS

FOLDERS = {TRANSACTIONS.name: "transactions", FRAUD_REPORTS.name: "reports"}
DEAD_LETTERS = "dead_letters.parquet"
COUNTS = "counts.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Of one topic: records = rows + duplicates + dead letters; `conflicting` of the duplicates say something else."""

    records: int
    rows: int
    duplicates: int
    conflicting: int
    dead_letters: int

    def __str__(self) -> str:
        return (
            f"{self.records:,} records, {self.rows:,} rows; {self.duplicates:,} duplicates "
            f"({self.conflicting:,} of them contradict), {self.dead_letters:,} dead letters"
        )


def build_snapshot(batches: Iterable[RawBatch], folder: Path) -> dict[str, Counts]:
    """Fill a folder: rows by event day, dead letters with their bytes and reasons, counts for each topic."""
    rows: dict[str, list[pl.DataFrame]] = defaultdict(list)
    dead = [DEAD_LETTER_SCHEMA.to_frame()]
    for batch in batches:
        decoded, letters = decode(batch)
        rows[batch.topic].append(decoded)
        dead.append(letters)
    letters = pl.concat(dead)
    write_table(letters, folder / DEAD_LETTERS)
    counts = {topic: _write(topic, rows[topic], letters, folder) for topic in MEANINGS}
    described = {topic: dataclasses.asdict(count) for topic, count in counts.items()}
    (folder / COUNTS).write_text(json.dumps(described, indent=1) + "\n")
    return counts


def _write(topic: str, tables: list[pl.DataFrame], letters: pl.DataFrame, folder: Path) -> Counts:
    meaning = MEANINGS[topic]
    rows = pl.concat([meaning.schema.to_frame(), *tables])
    kept, conflicting = without_duplicates(rows, meaning)
    write_days(kept, meaning.time, folder / FOLDERS[topic])
    dead = letters.filter(pl.col("topic") == topic).height
    return Counts(rows.height + dead, kept.height, rows.height - kept.height, conflicting, dead)
