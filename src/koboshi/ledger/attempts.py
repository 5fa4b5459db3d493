"""Attempts: at most one open attempt of a job, written down before the job is submitted (I6)."""

import dataclasses
import time
from typing import Literal

import sqlalchemy as sa

from koboshi.errors import Conflict
from koboshi.ledger.database import Ledger
from koboshi.ledger.tables import attempts

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
