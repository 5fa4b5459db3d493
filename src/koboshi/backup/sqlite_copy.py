"""A copy of a SQLite database that others may be writing to."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from koboshi.errors import Corrupt


def copy_database(source: Path, target: Path) -> None:
    """Copy the state after some committed transaction, by SQLite's online backup; raises `Corrupt` if it is damaged."""
    target.parent.mkdir(parents=True, exist_ok=True)
    live = sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)
    with closing(live), closing(sqlite3.connect(target)) as copy:
        try:
            live.backup(copy)
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise Corrupt(f"the database {source} is damaged ({found}): mend it or restore an earlier backup.")
