"""What a record means: JSON to typed rows. What cannot be decoded keeps its bytes and says why.

The decoder is strict (1.5 or true is no integer, a time has no zone), because a lenient one changes data silently.
"""

import dataclasses
import datetime
import re
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import polars as pl

from koboshi import BadInput, RawBatch
from pipelines.schemas import DEAD_LETTER_SCHEMA, REPORT_SCHEMA, TRANSACTION_SCHEMA
from pipelines.topics import FRAUD_REPORTS, TRANSACTIONS

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
LocalTime = Annotated[datetime.datetime, msgspec.Meta(tz=False)]


class Transaction(msgspec.Struct, gc=False):
    """A value of `transactions`."""

    transaction_id: Int64
    tx_datetime: LocalTime
    customer_id: Int64
    terminal_id: Int64
    amount_cents: Int64


class FraudReport(msgspec.Struct, gc=False):
    """A value of `fraud-reports`."""

    transaction_id: Int64
    reported_at: LocalTime


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """How the values of a topic are read: the decoder, the rows' schema, and the column of the event's time."""

    decoder: msgspec.json.Decoder[Any]
    schema: pl.Schema
    time: str


MEANINGS = {
    TRANSACTIONS.name: Meaning(msgspec.json.Decoder(Transaction), TRANSACTION_SCHEMA, "tx_datetime"),
    FRAUD_REPORTS.name: Meaning(msgspec.json.Decoder(FraudReport), REPORT_SCHEMA, "reported_at"),
}
KEY = "transaction_id"
LARGEST_BYTES = 65_536  # an event has some hundred: what is so much larger is something else, whatever it says
DEEPEST = 64  # an event has one level; how deep the decoder itself can go depends on the interpreter's stack just then
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # one that does not end takes all the rest
_BRACKET = re.compile(rb"[\[{\]}]")


def decode(batch: RawBatch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a batch, and its dead letters: together as many as it has records. `BadInput` for a stranger."""
    if batch.topic not in MEANINGS:
        raise BadInput(f"cut.json pins {batch.topic}: say in pipelines/decoding.py how its records are read.")
    meaning = MEANINGS[batch.topic]
    read, rows, dead = meaning.decoder.decode, [], []
    for index, value in enumerate(batch.values):
        try:
            rows.append(read(_checked(value)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            dead.append((index, str(error)))
    return _table(rows, meaning.schema), _dead_letters(batch, dead)


def without_duplicates(rows: pl.DataFrame, meaning: Meaning) -> tuple[pl.DataFrame, int]:
    """One row for each transaction id, ordered by time and id; and how many rows contradict the one that stays.

    It is the earliest, and among those of one time the smallest by all columns: so it depends neither on the order in
    which the records came nor on how often they came (I4).
    """
    order = [meaning.time, KEY, *(name for name in rows.columns if name not in (meaning.time, KEY))]
    distinct = rows.unique().sort(order)
    kept = distinct.unique(subset=KEY, keep="first", maintain_order=True)
    return kept, distinct.height - kept.height


def _checked(value: bytes | None) -> bytes:
    """The value, unless it is none that a decoder should be given; as strict in each process (I4)."""
    if value is None:
        raise msgspec.DecodeError("the record has no value")
    if len(value) > LARGEST_BYTES:
        raise msgspec.DecodeError(f"the value has {len(value):,} bytes, more than {LARGEST_BYTES:,}")
    if value.count(b"[") + value.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise msgspec.DecodeError(f"the value is nested more than {DEEPEST} levels deep")
    return value


def _depth(value: bytes) -> int:
    """How many brackets are open at once, those in strings aside: up to where the decoder stops, as it counts them."""
    deepest = depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _table(rows: list[Any], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame({name: [getattr(row, name) for row in rows] for name in schema}, schema=schema)


def _dead_letters(batch: RawBatch, dead: Iterable[tuple[int, str]]) -> pl.DataFrame:
    letters = [
        (batch.topic, batch.partition, batch.offsets[i], batch.keys[i], batch.values[i], reason) for i, reason in dead
    ]
    return pl.DataFrame(letters, schema=DEAD_LETTER_SCHEMA, orient="row")
