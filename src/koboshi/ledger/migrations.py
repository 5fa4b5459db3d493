"""The ledger's format: made on first use, brought from an older version to this one, refused when it is newer."""

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from koboshi.errors import NotConfigured
from koboshi.ledger.tables import FORMAT_VERSION, metadata, versions


def bring_up_to_date(connection: sa.Connection) -> None:
    """Make the tables where there are none, else take each step from the version found to `FORMAT_VERSION`.

    Everything happens in the caller's writing transaction: under a crash the ledger is as it was, or up to date. Of two
    processes that come at once the second waits, and finds nothing to do. Raises `NotConfigured` for a newer format.
    """
    if not sa.inspect(connection).has_table(versions.name):
        metadata.create_all(connection)
        connection.execute(versions.insert().values(format_version=FORMAT_VERSION))
        return
    found = connection.execute(sa.select(versions.c.format_version)).scalar_one()
    if found > FORMAT_VERSION:
        raise NotConfigured(
            f"the ledger {connection.engine.url} has format {found}, this koboshi knows {FORMAT_VERSION}: "
            "upgrade koboshi."
        )
    for version in range(found + 1, FORMAT_VERSION + 1):
        STEPS[version](connection)
        connection.execute(versions.update().values(format_version=version))


def _to_2(connection: sa.Connection) -> None:
    """Tokens can begin at a number (a time in microseconds), so they need 64 bits, which SQLite's integers have."""
    connection.exec_driver_sql("ALTER TABLE koboshi_versions ADD COLUMN first_token BIGINT NOT NULL DEFAULT 1")
    if connection.dialect.name == "postgresql":
        for table in ("leases", "spans", "steps"):
            connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN token TYPE BIGINT")


def _to_3(connection: sa.Connection) -> None:
    """Where each partition's landing began: until now that was where its first span starts."""
    connection.exec_driver_sql(
        "CREATE TABLE beginnings (topic TEXT NOT NULL, partition INTEGER NOT NULL, topic_id TEXT NOT NULL, "
        "start BIGINT NOT NULL, origin TEXT NOT NULL, recorded_at FLOAT NOT NULL, PRIMARY KEY (topic, partition), "
        "CHECK (origin IN ('landing', 'spans')))"
    )
    connection.exec_driver_sql(
        "INSERT INTO beginnings SELECT topic, partition, MIN(topic_id), MIN(start), 'spans', MIN(planned_at) "
        "FROM spans GROUP BY topic, partition"
    )


STEPS: Mapping[int, Callable[[sa.Connection], None]] = {2: _to_2, 3: _to_3}
"""What makes a ledger of the version before one of this version. A step is never changed once it was released."""
