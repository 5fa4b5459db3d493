"""The ledger is brought up to date once, whoever comes first, on every database that it can live in."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import sqlalchemy as sa

from koboshi.errors import Unavailable
from koboshi.ledger import Ledger, leases
from koboshi.ledger.tables import FORMAT_VERSION

RACERS = 4


def as_format_1(url: str) -> None:
    """What the first format was: no first token, and tokens of 32 bits."""
    leases.release(ledger := Ledger(url), leases.acquire(ledger, "kept", "us", 60))
    with ledger.transaction() as connection:
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
    with ProcessPoolExecutor(RACERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        tokens = list(pool.map(next_token, [ledger_url] * RACERS))
    assert sorted(tokens) == [2, 3, 4, 5]
    with Ledger(ledger_url).snapshot() as connection:
        found = connection.execute(sa.text("SELECT format_version, first_token FROM koboshi_versions")).one()
    assert tuple(found) == (FORMAT_VERSION, 1)


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
