"""`python -m koboshi.stack.postgres_storage FOLDER`: make the storage of a PostgreSQL server, with its databases."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from koboshi.stack.parts.postgres import DATABASE_USER, DATABASES


def main() -> None:
    """Safe to run again, also after a crash in the middle: the storage appears by a rename, when it is complete.

    The password of `DATABASE_USER` is in PGPASSWORD, where PostgreSQL's clients look for it, too.
    """
    folder = Path(sys.argv[1])
    if folder.exists():
        return
    unfinished = folder.with_name(f"{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_cluster(unfinished, os.environ["PGPASSWORD"])
    for name in DATABASES:
        make_database(unfinished, name)
    unfinished.rename(folder)


def make_cluster(folder: Path, password: str) -> None:
    """An empty cluster; its network gets in with the password only. initdb writes to disk before it ends."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(password)
        file.flush()
        who = ("--username", DATABASE_USER, "--pwfile", file.name, "--auth", "scram-sha-256")
        subprocess.run(("initdb", "-D", str(folder), "--encoding", "UTF8", "--locale", "C.UTF-8", *who), check=True)
    with (folder / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet scram-sha-256\n")


def make_database(folder: Path, name: str) -> None:
    """A database, by a server without network that lives for this statement only."""
    statement = f'CREATE DATABASE "{name}"\n'.encode()
    subprocess.run(("postgres", "--single", "-j", "-D", str(folder), "postgres"), input=statement, check=True)


if __name__ == "__main__":
    main()
