"""What the drill on poison sends: transactions, sound ones and such as no decoder can take."""

import dataclasses
import datetime
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from koboshi import RawBatch
from koboshi.drills import SOUND, Decoded, MeantRecord
from pipelines.decoding import KEY
from pipelines.snapshot import DEAD_LETTERS, FOLDERS, build_snapshot
from pipelines.topics import TRANSACTIONS

FIRST = datetime.datetime(2018, 6, 18)
ONE_IN = 50  # sound records of which one comes twice


class TransactionStream:
    """Transactions only, whatever the topic is called."""

    def records(self, sound: int, oversized_bytes: int) -> Sequence[MeantRecord]:
        """Sound ones first, then what is undecodable, of a wrong schema, oversized, and said again."""
        good = [_sound(number) for number in range(sound)]
        return [*good, *_undecodable(), *_wrong_schema(), _oversized(oversized_bytes), *_duplicates(good)]

    def decode(self, batches: Iterable[RawBatch], folder: Path) -> Decoded:
        """The snapshot's rows, dead letters and duplicates."""
        counts = build_snapshot((dataclasses.replace(batch, topic=TRANSACTIONS.name) for batch in batches), folder)
        rows = pl.read_parquet(folder / FOLDERS[TRANSACTIONS.name] / "*.parquet", columns=[KEY])
        dead = pl.read_parquet(folder / DEAD_LETTERS, columns=["partition", "offset"])
        duplicates = counts[TRANSACTIONS.name].duplicates
        return Decoded([str(number) for number in rows[KEY]], dead.select("partition", "offset").rows(), duplicates)


WORKLOAD = TransactionStream()


def _fields(number: int) -> dict[str, object]:
    when = FIRST + datetime.timedelta(seconds=number)
    values = (number, when.isoformat(), number % 97, number % 89, 100 + number)
    return dict(zip(TRANSACTIONS.fields, values, strict=True))


def _sound(number: int) -> MeantRecord:
    return MeantRecord(SOUND, b"%d" % (number % 97), json.dumps(_fields(number)).encode(), "row", str(number))


def _undecodable() -> list[MeantRecord]:
    whole = json.dumps(_fields(0)).encode()
    values = (b"\xff\xfe\x00", whole[:-5], b"", None, b"no JSON at all")
    return [MeantRecord("undecodable", b"0", value, "dead letter") for value in values]


def _wrong_schema() -> list[MeantRecord]:
    fields = _fields(0)
    less = {name: value for name, value in fields.items() if name != "amount_cents"}
    wrong: tuple[object, ...] = (less, {**fields, "amount_cents": 1.5}, {**fields, "tx_datetime": "yesterday"}, [1])
    return [MeantRecord("wrong schema", b"0", json.dumps(value).encode(), "dead letter") for value in wrong]


def _oversized(size: int) -> MeantRecord:
    """It could be decoded, were it not for its size."""
    value = json.dumps({**_fields(0), "note": "x" * size}).encode()
    return MeantRecord("oversized", b"0", value, "dead letter")


def _duplicates(good: Sequence[MeantRecord]) -> list[MeantRecord]:
    """Some say the same again, one contradicts."""
    again = [dataclasses.replace(record, kind="duplicate", fate="duplicate") for record in good[::ONE_IN]]
    other = json.dumps({**_fields(0), "amount_cents": 1}).encode()
    return [*again, MeantRecord("duplicate", b"0", other, "duplicate", "0")]
