"""The ledger on PostgreSQL: one writer at a time, under an advisory lock that ends with its transaction."""

from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from koboshi.errors import KoboshiError

FORM = "postgresql+psycopg://USER:PASSWORD@HOST/NAME"
WRITERS = int.from_bytes(b"koboshi")  # the lock that writers take


def open_engine(url: sa.URL, busy_timeout_s: int) -> sa.Engine:
    """The engine of a database on a server; nothing is asked yet."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "begin", partial(_begin, busy_timeout_s))
    return engine


def named(_error: DatabaseError, _url: sa.URL) -> KoboshiError | None:
    """Nothing beyond what every database says."""
    return None


def _begin(busy_timeout_s: int, connection: sa.Connection) -> None:
    """Whoever waits for the lock reads what the one before has committed.

    Under its own serialisable isolation PostgreSQL lets all of them read, and refuses all but one at the end.
    """
    if connection.get_execution_options().get("koboshi_writes"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{busy_timeout_s}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
