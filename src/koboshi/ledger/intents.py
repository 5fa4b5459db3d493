"""Attempts and intents: what happens outside the ledger is written down before it is done, so that it can be finished.

There is at most one open attempt of a job, written before the job is submitted (I6), and at most one open change of an
alias, written before the alias moves (I8).
"""

import dataclasses
import time
from typing import Literal

import sqlalchemy as sa

from koboshi.errors import Conflict
from koboshi.ledger.database import Ledger
from koboshi.ledger.tables import attempts, intents

State = Literal["open", "succeeded", "failed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at the job `key`; `number` counts from 1.

    As `recorded` gives it, `detail` says how it ended, and times are seconds since 1970.
    """

    key: str
    number: int
    state: State
    detail: str = ""
    opened_at: float = 0.0
    closed_at: float | None = None


def claim(ledger: Ledger, key: str) -> Attempt:
    """The attempt to attach to: the newest one if it is open or has succeeded, else a new open one.

    Key: the job's digest. The row is the only commit of "there is an attempt N"; all who race get the same N, and so
    the same job name. Under a crash before the submit, the next claim gets the open attempt and submits it.
    """
    with ledger.transaction() as connection:
        query = sa.select(attempts).where(attempts.c.key == key).order_by(attempts.c.number.desc()).limit(1)
        row = connection.execute(query).one_or_none()
        if row is not None and row.state != "failed":
            return Attempt(key, row.number, row.state)
        number = 1 if row is None else row.number + 1
        connection.execute(
            attempts.insert().values(key=key, number=number, state="open", detail="", opened_at=time.time())
        )
        return Attempt(key, number, "open")


def recorded(ledger: Ledger, key: str | None = None) -> list[Attempt]:
    """All attempts at a job, or at all jobs, by key and number."""
    query = sa.select(attempts).order_by(attempts.c.key, attempts.c.number)
    return [Attempt(*row) for row in ledger.rows(query if key is None else query.where(attempts.c.key == key))]


def is_known(ledger: Ledger, key: str) -> bool:
    """Whether there ever was an attempt at this job."""
    return bool(ledger.rows(sa.select(attempts.c.number).where(attempts.c.key == key).limit(1)))


def close(ledger: Ledger, attempt: Attempt, state: Literal["succeeded", "failed"], detail: str = "") -> None:
    """Write down how an attempt ended. The first word counts; the same word again changes nothing."""
    with ledger.transaction() as connection:
        here = (attempts.c.key == attempt.key, attempts.c.number == attempt.number)
        found = connection.execute(sa.select(attempts.c.state).where(*here)).scalar()
        if found == state:
            return
        if found != "open":
            raise Conflict(f"attempt {attempt.number} of {attempt.key[:12]} is {found} already, not {state}.")
        connection.execute(attempts.update().where(*here).values(state=state, detail=detail, closed_at=time.time()))


def revoke(ledger: Ledger, attempt: Attempt, reason: str) -> None:
    """Take back that an attempt has succeeded, since what it left does not verify any more; the next claim is new."""
    with ledger.transaction() as connection:
        here = (attempts.c.key == attempt.key, attempts.c.number == attempt.number, attempts.c.state == "succeeded")
        connection.execute(attempts.update().where(*here).values(state="failed", detail=reason))


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
