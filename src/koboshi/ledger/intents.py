"""Intents: a change outside the ledger (an alias) is written down before it is made, so that it can be finished."""

import dataclasses
import time
from typing import Literal

import sqlalchemy as sa

from koboshi.ledger.database import Ledger
from koboshi.ledger.tables import intents


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """To move the alias of `slot` from version `expected` (None: from nothing) to version `wanted`."""

    id: int
    slot: str
    expected: int | None
    wanted: int


def open_intent(ledger: Ledger, slot: str, expected: int | None, wanted: int) -> Intent:
    """Write an intent down, or get the open one of this slot, whoever opened it: finish that one first (I8)."""
    with ledger.transaction() as connection:
        query = sa.select(intents).where(intents.c.slot == slot, intents.c.state == "open")
        row = connection.execute(query).one_or_none()
        if row is not None:
            return Intent(row.id, row.slot, row.expected, row.wanted)
        values = {"slot": slot, "expected": expected, "wanted": wanted, "state": "open", "detail": ""}
        inserted = connection.execute(intents.insert().values(**values, opened_at=time.time()))
        key = inserted.inserted_primary_key
        return Intent(int(key[0]) if key is not None else 0, slot, expected, wanted)


def opened(ledger: Ledger, slot: str) -> Intent | None:
    """The intent of this slot that a crash left open, or that somebody is carrying out just now."""
    return _newest(ledger, slot, "open")


def last_done(ledger: Ledger, slot: str) -> Intent | None:
    """The slot's last move that was made: its `wanted` is where the alias was left."""
    return _newest(ledger, slot, "done")


def served(ledger: Ledger, slot: str) -> list[int]:
    """Every version that the slot's alias has pointed at, the newest move first; moves by hand are among them."""
    query = sa.select(intents.c.wanted).where(intents.c.slot == slot, intents.c.state == "done")
    return list(dict.fromkeys(row.wanted for row in ledger.rows(query.order_by(intents.c.id.desc()))))


def settle(ledger: Ledger, intent: Intent, state: Literal["done", "taken back"], detail: str = "") -> None:
    """Close an intent; one that is closed already stays as it is."""
    with ledger.transaction() as connection:
        connection.execute(
            intents.update()
            .where(intents.c.id == intent.id, intents.c.state == "open")
            .values(state=state, detail=detail, closed_at=time.time())
        )


def _newest(ledger: Ledger, slot: str, state: str) -> Intent | None:
    query = sa.select(intents).where(intents.c.slot == slot, intents.c.state == state).order_by(intents.c.id.desc())
    return next((Intent(row.id, row.slot, row.expected, row.wanted) for row in ledger.rows(query.limit(1))), None)
