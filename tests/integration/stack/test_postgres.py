"""The database server of the containers, for real: its storage, its password, its probe."""

import multiprocessing
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from koboshi.probes.postgres_probe import probe_postgres
from koboshi.settings import Settings
from koboshi.stack import postgres_storage
from koboshi.stack.part import Part
from koboshi.stack.part_state import part_probe
from koboshi.stack.parts.postgres import SERVER as PORT
from koboshi.stack.parts.postgres import postgres_part
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import Ports, Topology, image_executables, is_free

PASSWORD = "spoken-friend"  # noqa: S105
SERVER = Settings(project=Path("/nowhere"))


@pytest.fixture
def part(tool: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    """The part on 127.0.0.1, its storage made after a try that was killed in the middle."""
    folder = Path(tempfile.mkdtemp(prefix="koboshi-postgres-"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PATH", f"{Path(tool('initdb')).parent}{os.pathsep}{os.environ['PATH']}")
    base = next(base for base in range(26_000, 32_000, 100) if is_free(base + PORT))
    secrets = {"postgres": PASSWORD}
    made = postgres_part(Topology(StackPaths(folder, folder, folder), Ports(base), secrets, image_executables()))
    (made.folder / "data-unfinished").mkdir(parents=True)
    (made.folder / "data-unfinished" / "PG_VERSION").write_text("torn")
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user_of_server() or os.geteuid())
    yield made
    shutil.rmtree(folder)


def user_of_server() -> str | None:
    """PostgreSQL refuses to be run by root."""
    return "nobody" if os.geteuid() == 0 else None


def test_the_storage_has_the_databases_and_asks_for_the_password(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, whole; a second time it is left alone. The probe writes and reads, and says what is in its way."""
    (step,) = part.steps
    monkeypatch.setattr("sys.argv", list(step.argv[2:]))
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=make_storage)
        process.start()
        process.join()
        assert process.exitcode == 0
    assert step.done.exists()
    assert not (part.folder / "data-unfinished").exists()
    with subprocess.Popen(part.argv, user=user_of_server(), cwd=part.folder, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: probe_postgres(part.address, "koboshi", "airflow").ok)
            assert "a row written and read" in part_probe(SERVER, part)().detail
            assert probe_postgres(part.address, "koboshi", "mlflow").ok
            monkeypatch.setenv("PGPASSWORD", "wrong")
            assert "password authentication failed" in part_probe(SERVER, part)().detail
        finally:
            server.terminate()


def make_storage() -> None:
    """The step, as the server's user; a fork, because that user may not be allowed to start this interpreter."""
    if user := user_of_server():
        os.setuid(pwd.getpwnam(user).pw_uid)
    postgres_storage.main()


def wait_for(true: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
