"""A ledger that is filled anew: from span files (a rebuild), or as it was at an earlier time (a restore).

Processes that saw the lost ledger may still be at work. What they hold must never count again, so tokens begin at the
current time in microseconds: an acquisition counts only one up, so that is above all tokens that were ever given (I3).
"""

import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from koboshi.errors import Conflict
from koboshi.files import naming_disk_failures
from koboshi.ledger.database import Ledger, LedgerConnection
from koboshi.ledger.tables import beginnings, leases, metadata, spans, versions
from koboshi.refs import Beginning, SpanRef


def is_empty(ledger: Ledger) -> bool:
    """Whether the ledger has no row yet."""
    with ledger.snapshot() as connection:
        return _is_empty(connection)


def move_aside(url: str) -> Path:
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


def put_back(ledger: Ledger, landed: Sequence[SpanRef]) -> None:
    """The only commit of a rebuild: all rows at once, into a ledger that has none, and fences of all earlier holders.

    Key: topic, partition, start. Under a crash: all of it or nothing. Raises `Conflict` when the ledger has rows.
    """
    now = time.time()
    with ledger.transaction() as connection:
        if not _is_empty(connection):
            raise Conflict("the ledger has rows, and is not overwritten: move it away first if it is of no use.")
        times = {"planned_at": now, "committed_at": now}
        connection.execute(spans.insert(), [{**_row(span), **times} for span in landed])
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
