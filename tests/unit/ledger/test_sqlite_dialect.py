import sqlite3
import time

import pytest

from koboshi.ledger import sqlite_dialect


class Connection:
    """One whose `PRAGMA journal_mode=WAL` raises what it is given, one after another, and then is done."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.asked = list(codes), 0

    def execute(self, _statement: str) -> None:
        self.asked += 1
        if self.codes:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.codes.pop(0)
            raise error


def test_a_file_that_another_process_makes_at_the_same_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite answers that it is locked at once: to wait with its lock could block both for ever."""
    monkeypatch.setattr(sqlite_dialect, "_WAL_POLL_S", 0)
    connection = Connection(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY | (2 << 8))
    sqlite_dialect._set_wal(connection, time.monotonic() + 60)
    assert connection.asked == 3


@pytest.mark.parametrize(("code", "patience_s"), [(sqlite3.SQLITE_BUSY, -1), (sqlite3.SQLITE_IOERR, 60)])
def test_it_is_not_waited_for_beyond_the_deadline_and_other_errors_are_told(code: int, patience_s: float) -> None:
    connection = Connection(code)
    with pytest.raises(sqlite3.OperationalError):
        sqlite_dialect._set_wal(connection, time.monotonic() + patience_s)
    assert connection.asked == 1
