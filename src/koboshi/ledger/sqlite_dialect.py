"""The ledger on SQLite: WAL, synchronous FULL, BEGIN IMMEDIATE; a file that is damaged is refused before it is read."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from koboshi.errors import Corrupt, DiskFailed, KoboshiError
from koboshi.files import naming_disk_failures, refused

FORM = "sqlite:///FILE"
_DISK_FAILURES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_REFUSALS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_WAL_POLL_S = 0.01
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_engine(url: sa.URL, busy_timeout_s: int) -> sa.Engine:
    """The engine of a file, whose folder is made. Raises `Corrupt` for a file that is cut short."""
    file = Path(url.database or "")
    with naming_disk_failures(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    if _is_cut(file):
        raise _damaged(url, "its last page is cut short")
    engine = sa.create_engine(url, connect_args={"timeout": busy_timeout_s})
    sa.event.listen(engine, "connect", lambda connection, _: _configure(connection, busy_timeout_s))
    sa.event.listen(engine, "begin", _begin)
    return engine


def named(error: DatabaseError, url: sa.URL) -> KoboshiError | None:
    """What SQLite could not do, as one of our errors. Its extended codes carry the plain one in the low byte."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGES:
        return _damaged(url, str(error.orig))
    if code in _DISK_FAILURES:
        return DiskFailed(
            f"the ledger {url} cannot be written ({error.orig}): make room on its disk, then run it again."
        )
    return refused(_files(url)) if code in _REFUSALS else None


def quarantine(url: str) -> Path:
    """Rename a SQLite ledger that cannot be read, and what SQLite keeps beside it; returns its new name.

    The file comes last: under a crash it is still in the way, and the next call moves it. Its log must not stay, or it
    would be taken for the new ledger's.
    """
    file = Path(sa.make_url(url).database or "")
    kept = f"{file}.damaged-{time.time_ns() // 1_000_000}"
    with naming_disk_failures(file):
        for ending in ("-wal", "-shm", ""):
            if (there := Path(f"{file}{ending}")).exists():
                there.rename(f"{kept}{ending}")
    return Path(kept)


def _configure(connection: Any, busy_timeout_s: int) -> None:
    """WAL for readers beside a writer; FULL, because a power loss may not take a commit back."""
    connection.isolation_level = None
    _set_wal(connection, time.monotonic() + busy_timeout_s)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_wal(connection: Any, deadline: float) -> None:
    """Of processes that make a new file at the same moment one sets WAL; SQLite itself does not wait for it here."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_WAL_POLL_S)


def _begin(connection: sa.Connection) -> None:
    """IMMEDIATE takes the write lock at once: a decision is read and written under it, never on a stale snapshot."""
    writes = connection.get_execution_options().get("koboshi_writes", False)
    connection.exec_driver_sql(f"BEGIN {'IMMEDIATE' if writes else 'DEFERRED'}")


def _damaged(url: sa.URL, how: str) -> Corrupt:
    return Corrupt(
        f"the ledger {url} is damaged ({how}): restore a backup, or run `koboshi ledger rebuild`, which keeps the "
        "damaged file."
    )


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
