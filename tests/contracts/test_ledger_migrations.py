"""The ledger is brought up to date once, whoever comes first, on every database that it can live in."""

import multiprocessing

import pytest
import sqlalchemy as sa

from koboshi.errors import Unavailable
from koboshi.ledger import Ledger, leases, spans
from koboshi.ledger.tables import FORMAT_VERSION
from koboshi.refs import Beginning, SpanRange, SpanRef
from tests.support.racing import at_once

RACERS = 4


def as_format_2(url: str) -> None:
    """What the second format was: nothing told where landing began but the spans themselves."""
    ledger = Ledger(url)
    lease = leases.acquire(ledger, "kept", "us", 60)
    for partition, start in ((0, 0), (1, 40)):
        ranges = [SpanRange("t", "id", partition, begin, begin + 5) for begin in (start, start + 5)]
        spans.plan(ledger, lease, ranges)
        spans.commit(ledger, lease, SpanRef(ranges[0], "p", "s", "c", 5))
    leases.release(ledger, lease)
    with ledger.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE beginnings")
        connection.exec_driver_sql("UPDATE koboshi_versions SET format_version = 2")
    ledger.close()


def as_format_1(url: str) -> None:
    """What the first format was: no first token, and tokens of 32 bits."""
    leases.release(ledger := Ledger(url), leases.acquire(ledger, "kept", "us", 60))
    with ledger.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE beginnings")
        connection.exec_driver_sql("ALTER TABLE koboshi_versions DROP COLUMN first_token")
        connection.exec_driver_sql("UPDATE koboshi_versions SET format_version = 1")
        if connection.dialect.name == "postgresql":
            for table in ("leases", "spans", "steps"):
                connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN token TYPE INTEGER")
    ledger.close()


def next_token(url: str) -> int:
    """Open, as any command does; one that came in the way of another is tried again."""
    while True:
        try:
            ledger = Ledger(url)
            return leases.acquire(ledger, "kept", multiprocessing.current_process().name, ttl_s=0).token
        except Unavailable:
            continue


def test_many_that_come_at_once_migrate_once_and_tokens_grow_on(ledger_url: str) -> None:
    as_format_1(ledger_url)
    assert sorted(at_once(next_token, ledger_url, RACERS)) == [2, 3, 4, 5]
    with Ledger(ledger_url).snapshot() as connection:
        found = connection.execute(sa.text("SELECT format_version, first_token FROM koboshi_versions")).one()
    assert tuple(found) == (FORMAT_VERSION, 1)


def test_where_landing_began_is_taken_from_the_first_spans(ledger_url: str) -> None:
    """Planned or committed; and a landing that goes on finds it."""
    as_format_2(ledger_url)
    ledger = Ledger(ledger_url)
    found = spans.beginnings(ledger, "t")
    assert found == {number: Beginning("t", "id", number, start, "spans") for number, start in ((0, 0), (1, 40))}
    lease = leases.acquire(ledger, "kept", "us", 60)
    spans.plan(ledger, lease, [SpanRange("t", "id", 1, 50, 55)])
    assert spans.beginnings(ledger, "t") == found
    ledger.close()


@pytest.mark.parametrize("start", ["new", "migrated"])
def test_tokens_of_today_have_room(ledger_url: str, start: str) -> None:
    """A token that begins at the current time in microseconds, in a ledger of any age."""
    if start == "migrated":
        as_format_1(ledger_url)
    ledger = Ledger(ledger_url)
    with ledger.transaction() as connection:
        connection.exec_driver_sql("UPDATE koboshi_versions SET first_token = 1795520172053625")
    assert leases.acquire(ledger, "new", "us", 60).token == 1_795_520_172_053_625
    assert leases.acquire(ledger, "kept", "us", 60).token == 1_795_520_172_053_625
