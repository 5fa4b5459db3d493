"""The databases that a ledger can live in: each test of the ledger's contract runs on all of them."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

DATABASES = ("sqlite", "postgresql")
READY_S = 30
_numbers = count(1)


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: sa.Engine = request.getfixturevalue("postgresql")
    name = f"ledger_{next(_numbers)}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return server.url.set(database=name).render_as_string()


@pytest.fixture(scope="session")
def postgresql(tool: Callable[[str], str]) -> Iterator[sa.Engine]:
    """A PostgreSQL server of our own, on a Unix socket, as its owner sees it."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: the ledger is tested on SQLite alone")
    initdb, postgres = tool("initdb"), tool("postgres")
    with tempfile.TemporaryDirectory(prefix="koboshi-pg-") as folder:
        data = Path(folder) / "data"
        user = _other_user(Path(folder))
        words = [initdb, "--pgdata", str(data), "--username=koboshi", "--auth=trust", "--no-sync"]
        subprocess.run(words, user=user, cwd=folder, check=True, capture_output=True)
        options = ["-D", str(data), "-k", folder, "-c", "listen_addresses=", "-F"]
        with _running([postgres, *options], user, folder):
            url = sa.URL.create("postgresql+psycopg", "koboshi", database="postgres", query={"host": folder})
            engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
            _wait_for(engine)
            yield engine


def _other_user(folder: Path) -> str | None:
    """PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    return "nobody"


@contextmanager
def _running(words: list[str], user: str | None, folder: str) -> Iterator[None]:
    with (Path(folder) / "log").open("wb") as log, subprocess.Popen(words, user=user, cwd=folder, stderr=log) as server:
        try:
            yield
        finally:
            server.terminate()
            server.wait(READY_S)


def _wait_for(engine: sa.Engine) -> None:
    until = time.monotonic() + READY_S
    while True:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if time.monotonic() > until:
                raise
        else:
            return
