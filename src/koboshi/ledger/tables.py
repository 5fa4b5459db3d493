"""The ledger's tables. Times are seconds since 1970; digests are hex."""

import sqlalchemy as sa

FORMAT_VERSION = 3
metadata = sa.MetaData()

# One row. No lease gets a token below `first_token`: see `koboshi.ledger.rebuilding`.
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
    sa.Column("set_aside", sa.Text),
)
# A step commits once: a second row is possible only after the first was set aside, with the reason.
sa.Index(
    "one_committed_step",
    steps.c.run_key,
    steps.c.unit,
    steps.c.step,
    unique=True,
    sqlite_where=steps.c.set_aside.is_(None),
    postgresql_where=steps.c.set_aside.is_(None),
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
    sqlite_where=intents.c.state == "open",
    postgresql_where=intents.c.state == "open",
)
