"""The ledger's database: opened by URL, brought up to date on each opening, and filled anew after a loss.

What differs between databases is in one file for each, `<backend>_dialect.py`, after SQLAlchemy's name of the backend.

A ledger is filled from span files (a rebuild), or is as it was at an earlier time (a restore). Processes that saw the
lost ledger may still be at work. What they hold must never count again, so tokens begin at the current time in
microseconds: an acquisition counts only one up, so that is above all tokens that were ever given (I3).
"""

import importlib
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from koboshi.errors import Conflict, KoboshiError, NotConfigured, Unavailable
from koboshi.ledger.tables import BACKENDS, beginnings, bring_up_to_date, leases, metadata, spans, versions
from koboshi.refs import Beginning, SpanRef

LedgerConnection = sa.Connection
BUSY_TIMEOUT_S = 30


class Dialect(Protocol):
    """What `<backend>_dialect.py` has; the database needs unique indexes over some of the rows, as in `tables`.

    A transaction of an engine with the execution option `koboshi_writes` waits for its turn to write when it begins,
    for so long at most; another one sees one consistent state, and is in no writer's way.
    """

    FORM: str

    def open_engine(self, url: sa.URL, busy_timeout_s: int) -> sa.Engine:
        """An engine whose transactions begin as said above, durable once they are committed."""

    def named(self, error: DatabaseError, url: sa.URL) -> KoboshiError | None:
        """What the database could not do, as one of our errors; None where it is nothing of its own."""


def _dialect(backend: str) -> Dialect:
    return cast("Dialect", importlib.import_module(f"koboshi.ledger.{backend}_dialect"))


class Ledger:
    """One ledger, opened by URL. Safe to open from many processes at once, not to carry over a fork.

    A connection is kept from one transaction to the next: closing the last one to a SQLite file writes the log back
    into it and fsyncs twice, which is three times the work of a small transaction.
    """

    def __init__(self, url: str) -> None:
        """Open, and make the tables or bring them up to date; a newer format is refused with a sentence."""
        parsed = _parsed(url)
        self._dialect = _dialect(parsed.get_backend_name())
        self._engine = self._dialect.open_engine(parsed, BUSY_TIMEOUT_S)
        self._writing = self._engine.execution_options(koboshi_writes=True)
        self._reading = self._engine.execution_options(koboshi_writes=False)
        weakref.finalize(self, self._engine.dispose)
        with self.transaction() as connection:
            bring_up_to_date(connection)

    def transaction(self) -> AbstractContextManager[LedgerConnection]:
        """A writing transaction: serialised against all others, durable once the block ends, undone if it raises."""
        return self._begin(self._writing)

    def snapshot(self) -> AbstractContextManager[LedgerConnection]:
        """A reading transaction: one consistent state, never in the way of a writer."""
        return self._begin(self._reading)

    def rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        """What one query finds, in a snapshot of its own."""
        with self.snapshot() as connection:
            return connection.execute(query).all()

    @property
    def url(self) -> sa.URL:
        """Where it is; a password is not shown."""
        return self._engine.url

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _begin(self, engine: sa.Engine) -> Iterator[LedgerConnection]:
        try:
            with engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            if named := self._dialect.named(error, self.url):
                raise named from error
            if isinstance(error, OperationalError):
                raise Unavailable(f"the ledger {self.url} does not answer ({error.orig}): try again.") from error
            raise


def _parsed(url: str) -> sa.URL:
    """Raises `NotConfigured`, without the URL: a password may be in it."""
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect().import_dbapi()
        if parsed.get_backend_name() in BACKENDS:
            return parsed
        raise ValueError(f"{parsed.get_backend_name()} is none of {', '.join(BACKENDS)}")
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        forms = " or ".join(sorted((_dialect(backend).FORM for backend in BACKENDS), key=len))
        raise NotConfigured(
            f"ledger_url names no database that can be opened ({type(error).__name__}): write {forms}."
        ) from error


def is_empty(ledger: Ledger) -> bool:
    """Whether the ledger has no row yet."""
    with ledger.snapshot() as connection:
        return _is_empty(connection)


def put_back(ledger: Ledger, landed: Sequence[SpanRef]) -> None:
    """The only commit of a rebuild: all rows at once, into a ledger that has none, and fences of all earlier holders.

    Key: topic, partition, start. Under a crash: all of it or nothing. Raises `Conflict` when the ledger has rows.
    """
    now = time.time()
    with ledger.transaction() as connection:
        if not _is_empty(connection):
            raise Conflict("the ledger has rows, and is not overwritten: move it away first if it is of no use.")
        connection.execute(spans.insert(), [{**_row(span), "planned_at": now, "committed_at": now} for span in landed])
        connection.execute(beginnings.insert(), [{**one.as_json(), "recorded_at": now} for one in first_starts(landed)])
        _fence_all(connection)


def first_starts(landed: Sequence[SpanRef]) -> list[Beginning]:
    """Where each partition begins as far as its spans tell, which are given by partition and start; pure."""
    first: dict[tuple[str, int], Beginning] = {}
    for span in (one.range for one in landed):
        beginning = Beginning(span.topic, span.topic_id, span.partition, span.start, "spans")
        first.setdefault((span.topic, span.partition), beginning)
    return list(first.values())


def fence_all(ledger: Ledger) -> None:
    """Let no token count that was given before: every holder of a lease has to acquire it anew."""
    with ledger.transaction() as connection:
        _fence_all(connection)


def _fence_all(connection: LedgerConnection) -> None:
    connection.execute(leases.delete())
    connection.execute(versions.update().values(first_token=time.time_ns() // 1_000))


def _is_empty(connection: LedgerConnection) -> bool:
    tables = (table for table in metadata.sorted_tables if table is not versions)
    return not any(connection.execute(sa.select(sa.exists().select_from(table))).scalar() for table in tables)


def _row(span: SpanRef) -> dict[str, object]:
    row = span.as_json()
    return {**row.pop("range"), **row, "state": "committed", "token": 0}
