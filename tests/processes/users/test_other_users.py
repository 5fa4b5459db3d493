"""Another user's files, and another user's stack: one sentence that says whose it is, and what is seen is true."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from koboshi.backup.making import back_up
from koboshi.cli import app
from koboshi.errors import Conflict, KoboshiError
from koboshi.events import unheard
from koboshi.exits import run_and_exit
from koboshi.files import publish_bytes
from koboshi.ingest.stray_files import open_ledger
from koboshi.ledger import Ledger, spans
from koboshi.settings import load_settings
from koboshi.stack.paths import find_paths
from koboshi.stack.process_table import TAG, find_leftovers, start_ticks
from tests.support.other_user import OTHER, as_other_user, open_folder

WHOSE = f"belongs to user root, and this is user {OTHER}: run this as root, or give the project to {OTHER} with"


@pytest.fixture(autouse=True)
def _root(lacking: Callable[[str], NoReturn]) -> None:
    if os.geteuid() != 0:
        lacking("only root can work as another user")


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of root's, with a ledger, which everybody may read."""
    with open_folder() as folder:
        (folder / "koboshi.toml").write_text("")
        Ledger(load_settings(folder).ledger_url).close()
        monkeypatch.chdir(folder)
        yield folder


def refusal(work: Callable[[], Any]) -> list[Any]:
    try:
        work()
    except KoboshiError as error:
        return [error.exit_code, str(error)]
    return [0, ""]


def ended(*words: str) -> list[Any]:
    """The exit code of a verb, and what it said on stderr."""
    sys.argv, sys.stderr = ["koboshi", *words], io.StringIO()
    try:
        run_and_exit(app, "koboshi")
    except SystemExit as error:
        return [error.code, sys.stderr.getvalue()]


def test_a_ledger_of_another_user_says_whose_it_is(project: Path) -> None:
    """65: no later try heals it. That it is readable is not enough, since opening it may bring it up to date."""
    url, state = f"sqlite:///{project}/.koboshi/ledger.db", project / ".koboshi"
    code, said = as_other_user(lambda: refusal(lambda: open_ledger(url, state)))
    assert (code, WHOSE in said) == (65, True), said
    (state / "ledger.db").chmod(0o600)
    code, said = as_other_user(lambda: refusal(lambda: open_ledger(url, state)))
    assert (code, f"{state / 'ledger.db'} {WHOSE}" in said) == (65, True), said


def test_a_ledger_in_a_folder_of_another_user_says_whose_it_is(project: Path) -> None:
    """The file alone is not enough: SQLite writes its log beside it, which may be root's too."""
    state = project / ".koboshi"
    shutil.chown(state / "ledger.db", OTHER)
    code, said = as_other_user(lambda: refusal(lambda: open_ledger(f"sqlite:///{state}/ledger.db", state)))
    assert (code, f"{state} {WHOSE}" in said) == (65, True), said
    code, said = as_other_user(lambda: refusal(lambda: Ledger(f"sqlite:///{project}/new/ledger.db")))
    assert (code, f"{project} {WHOSE}" in said) == (65, True), said


def test_a_file_in_a_folder_of_another_user_says_whose_it_is(project: Path) -> None:
    code, said = as_other_user(lambda: refusal(lambda: publish_bytes(project / "a", b"x")))
    assert (code, f"{project} {WHOSE}" in said) == (65, True), said


@pytest.mark.parametrize("words", [("status",), ("down",), ("up", "kafka"), ("logs", "kafka"), ("kill", "kafka")])
def test_verbs_of_the_stack_say_whose_project_it_is(project: Path, words: tuple[str, ...]) -> None:
    """Its records are hidden from others: that is no stack trace, and no "nothing runs"."""
    (project / ".koboshi" / "stack").mkdir(mode=0o700)
    code, said = as_other_user(lambda: ended(*words))
    assert (code, WHOSE in said, len(said.splitlines())) == (65, True, 1), said


def test_a_read_only_disk_is_named(
    project: Path, tool: Callable[[str], str], lacking: Callable[[str], NoReturn]
) -> None:
    """In a mount namespace of its own."""
    script = f"""
from koboshi.files import publish_bytes
from koboshi.ledger import Ledger
from koboshi.errors import NotConfigured
from pathlib import Path
for work in (lambda: publish_bytes(Path("a"), b""), lambda: Ledger("sqlite:///{project}/.koboshi/ledger.db")):
    try:
        work()
    except NotConfigured as error:
        print(error)
"""
    mounting = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$1" -c "$2"'
    words = [tool("unshare"), "-m", "sh", "-c", mounting, str(project), sys.executable, script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "mount" in done.stderr:
        lacking(f"this machine mounts nothing: {done.stderr}")
    assert done.stdout.count("is on a disk that is mounted read-only: mount it writable") == 2, done


@pytest.fixture
def running(project: Path) -> Iterator[int]:
    """A part of a stack that the other user has started in a project of theirs, as the launcher records it."""
    paths = find_paths(project, project / ".koboshi")
    starts = paths.own / "starts"
    starts.mkdir(parents=True)
    environment = {**os.environ, TAG: "unseen"}
    with subprocess.Popen(["sleep", "60"], user=OTHER, env=environment, start_new_session=True) as process:
        try:
            record = {"starts": [{"at": 0.0, "pid": process.pid, "ticks": start_ticks(process.pid)}], "note": ""}
            (starts / "kafka.json").write_text(json.dumps(record))
            yield process.pid
        finally:
            process.kill()


def test_root_sees_the_stack_of_another_user(project: Path, running: int) -> None:
    """So a backup beside a broker that runs is refused, also to root."""
    assert find_leftovers(find_paths(project, project / ".koboshi")) == {running}
    (project / ".koboshi" / "kafka").mkdir()
    with pytest.raises(Conflict, match="the stack is up, and Kafka's log can be copied only at rest"):
        back_up(load_settings(project), project / "backup", with_kafka=True, emit=unheard)
    assert not (project / "backup").exists()
    assert spans.topics(Ledger(load_settings(project).ledger_url)) == []


def test_another_user_sees_it_too(project: Path, running: int) -> None:
    paths = find_paths(project, project / ".koboshi")
    assert as_other_user(lambda: sorted(find_leftovers(paths))) == [running]
