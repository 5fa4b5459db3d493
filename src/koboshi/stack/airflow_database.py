"""`python -m koboshi.stack.airflow_database`: make or migrate Airflow's database, before its programs start."""

from airflow.models.pool import Pool
from airflow.settings import Session
from airflow.utils.db import upgradedb
from sqlalchemy import text

DVC_POOL = "dvc"


def main() -> None:
    """Safe to run again, also after a crash in the middle.

    In SQLite write-ahead logging lets four programs read while one writes; the setting stays in the file. The pool has
    one slot, because two runs of DVC in one project do not get on.
    """
    upgradedb()
    Pool.create_or_update_pool(DVC_POOL, 1, "One run of DVC at a time", include_deferred=True)
    session = Session()
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("PRAGMA journal_mode=WAL"))
    session.close()


if __name__ == "__main__":
    main()
