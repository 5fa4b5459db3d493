"""The ledger's tables, and how those of an older version are brought to this one; a newer version is refused.

Times are seconds since 1970; digests are hex.
"""

import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from koboshi.errors import NotConfigured

FORMAT_VERSION = 3
metadata = sa.MetaData()
_DIALECT = "_dialect"
BACKENDS = tuple(
    found.name.removesuffix(_DIALECT)
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name.endswith(_DIALECT)
)
"""The databases that there is a `<backend>_dialect.py` for."""


def _over_some(rows: sa.ColumnElement[bool]) -> dict[str, Any]:
    """An index over these rows alone."""
    return {f"{backend}_where": rows for backend in BACKENDS}


# One row. No lease gets a token below `first_token`: see `koboshi.ledger.database`.
versions = sa.Table(
    "koboshi_versions",
    metadata,
    sa.Column("format_version", sa.Integer, primary_key=True),
    sa.Column("first_token", sa.BigInteger, nullable=False, server_default="1"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

spans = sa.Table(
    "spans",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("topic_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text),
    sa.Column("sha256", sa.Text),
    sa.Column("content", sa.Text),
    sa.Column("records", sa.BigInteger),
    sa.Column("planned_at", sa.Float, nullable=False),
    sa.Column("committed_at", sa.Float),
    sa.CheckConstraint("state IN ('planned', 'committed')"),
    sa.CheckConstraint('start < "end"'),
)

# Written with the first plan of a partition, and never changed.
beginnings = sa.Table(
    "beginnings",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("topic_id", sa.Text, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.Float, nullable=False),
    sa.CheckConstraint("origin IN ('landing', 'spans')"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("closed_at", sa.Float),
    sa.CheckConstraint("state IN ('open', 'succeeded', 'failed')"),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_key", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("committed_at", sa.Float, nullable=False),
    sa.Column("set_aside", sa.Text, key="quarantined"),
)
# A step commits once: a second row is possible only after the first was quarantined, with the reason.
sa.Index(
    "one_committed_step",
    steps.c.run_key,
    steps.c.unit,
    steps.c.step,
    unique=True,
    **_over_some(steps.c.quarantined.is_(None)),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("slot", sa.Text, nullable=False),
    sa.Column("expected", sa.Integer),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("closed_at", sa.Float),
    sa.CheckConstraint("state IN ('open', 'done', 'taken back')"),
)
sa.Index(
    "one_open_intent",
    intents.c.slot,
    unique=True,
    **_over_some(intents.c.state == "open"),
)


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
