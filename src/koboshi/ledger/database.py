"""The ledger's database: SQLite by default, brought up to date on each opening."""

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from koboshi.errors import Corrupt, DiskFailed, KoboshiError, NotConfigured, Unavailable
from koboshi.files import naming_disk_failures, refused
from koboshi.ledger.migrations import bring_up_to_date

LedgerConnection = sa.Connection
BUSY_TIMEOUT_S = 30
WRITERS = int.from_bytes(b"koboshi")  # the lock that writers to a ledger on PostgreSQL take
_DISK_FAILURES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_REFUSALS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Ledger:
    """One ledger, opened by URL. Safe to open from many processes at once, not to carry over a fork.

    A connection is kept from one transaction to the next: closing the last one to a SQLite file writes the log back
    into it and fsyncs twice, which is three times the work of a small transaction.
    """

    def __init__(self, url: str) -> None:
        """Open, and make the tables or bring them up to date; a newer format is refused with a sentence."""
        self._engine = _engine(url)
        self._writing = self._engine.execution_options(koboshi_begin="IMMEDIATE")
        self._reading = self._engine.execution_options(koboshi_begin="DEFERRED")
        weakref.finalize(self, self._engine.dispose)
        with self.transaction() as connection:
            bring_up_to_date(connection)

    @contextmanager
    def transaction(self) -> Iterator[LedgerConnection]:
        """A writing transaction: serialised against all others, durable once the block ends, undone if it raises."""
        with self._begin(self._writing) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[LedgerConnection]:
        """A reading transaction: one consistent state, never in the way of a writer."""
        with self._begin(self._reading) as connection:
            yield connection

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
            if (named := _named(error, self._engine.url)) is None:
                raise
            raise named from error


def _engine(url: str) -> sa.Engine:
    with _naming_unknown_urls():
        parsed = sa.make_url(url)
        parsed.get_dialect().import_dbapi()
    if parsed.get_backend_name() != "sqlite":
        engine = sa.create_engine(parsed)
        sa.event.listen(engine, "begin", _begin_postgresql)
        return engine
    folder = Path(parsed.database or "").parent
    with naming_disk_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if _is_cut(Path(parsed.database or "")):
        raise _damaged(parsed, "its last page is cut short")
    engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def _naming_unknown_urls() -> Iterator[None]:
    """The URL is left out of the sentence: a password may be in it."""
    try:
        yield
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        raise NotConfigured(
            f"ledger_url names no database that can be opened ({type(error).__name__}): write sqlite:///FILE or "
            "postgresql+psycopg://USER:PASSWORD@HOST/NAME."
        ) from error


def _is_cut(file: Path) -> bool:
    """Whether the last page is not whole: SQLite would read zeros in its place. A log that waits may have all of it."""
    try:
        with file.open("rb") as opened:
            header, size = opened.read(100), os.fstat(opened.fileno()).st_size
    except OSError:
        return False
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100 or _size(f"{file}-wal"):
        return False
    page_size = int.from_bytes(header[16:18], "big")
    return size % (page_size if page_size > 1 else 65_536) != 0


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _files(url: sa.URL) -> list[Path]:
    """What SQLite writes: the file, those beside it, and their folder."""
    file = Path(url.database or "")
    beside = [Path(path) for path in (f"{file}-wal", f"{file}-shm") if _size(path)]
    return [file, *beside, file.parent]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    """WAL for readers beside a writer; FULL, because a power loss may not take a commit back."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: LedgerConnection) -> None:
    """IMMEDIATE takes the write lock at once: a decision is read and written under it, never on a stale snapshot."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('koboshi_begin', 'DEFERRED')}")


def _begin_postgresql(connection: LedgerConnection) -> None:
    """One writer at a time here, too: whoever waits for the lock reads what the one before has committed.

    Under its own serialisable isolation PostgreSQL lets all of them read, and refuses all but one at the end.
    """
    if connection.get_execution_options().get("koboshi_begin") == "IMMEDIATE":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _damaged(url: sa.URL, how: str) -> Corrupt:
    return Corrupt(
        f"the ledger {url} is damaged ({how}): restore a backup, or run `koboshi ledger rebuild`, which keeps the "
        "damaged file."
    )


def _named(error: DatabaseError, url: sa.URL) -> KoboshiError | None:
    """What the database could not do, as one of our errors. Its extended codes carry the plain one in the low byte."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGES:
        return _damaged(url, str(error.orig))
    if code in _DISK_FAILURES:
        return DiskFailed(
            f"the ledger {url} cannot be written ({error.orig}): make room on its disk, then run it again."
        )
    if code in _REFUSALS and (refusal := refused(_files(url))):
        return refusal
    if isinstance(error, OperationalError):
        return Unavailable(f"the ledger {url} does not answer ({error.orig}): try again.")
    return None
