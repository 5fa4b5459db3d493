"""Every verb that there is ends with 0, 2, 65, 75, 130 or 143, in one sentence where it did not do what it says.

The verbs are taken from the command line itself, so that a new one is tried without a word here.
"""

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer

from koboshi import cli
from koboshi.exits import CODES, TRACES
from koboshi.ledger import Ledger, intents, leases
from tests.support.running_stack import KOBOSHI, REPOSITORY, UNMEASURED, clean_environment

CLOSED = "127.0.0.1:9"
NOWHERE = {"KOBOSHI_MLFLOW__TRACKING_URI": f"http://{CLOSED}", "KOBOSHI_GATEWAY__URL": f"http://{CLOSED}"}
LASTING = {"up", "serve"}  # they wait for others, or for ever: how they end is seen below
KEY = "ab" * 32
WAIT_S = 60


def commands_of_the_project() -> dict[str, str]:
    """The verbs that this repository's koboshi.toml adds."""
    return dict(tomllib.loads((REPOSITORY / "koboshi.toml").read_text())["commands"])


def verbs() -> dict[str, Any]:
    """Every verb by its words, those of the project included."""
    found = dict(_below(typer.main.get_command(cli.app), ""))
    for name, target in commands_of_the_project().items():
        module, _, attribute = target.partition(":")
        group = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        found |= dict(_below(group, f"{name} "))
    return found


def _below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


VERBS = verbs()


def required(command: Any) -> list[str]:
    """A word for each argument and option that a verb cannot do without: a number, a name and a path in one."""
    needed = [parameter for parameter in command.params if parameter.required]
    return [word for p in needed for word in (["1"] if p.param_type_name == "argument" else [p.opts[0], "1"])]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with nothing of the surrounding session's settings."""
    clean = clean_environment(**NOWHERE)
    for name in {*os.environ, *clean} - {"PYTEST_CURRENT_TEST"}:
        monkeypatch.setenv(name, clean[name]) if name in clean else monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")  # so that it is put back
    monkeypatch.setattr(cli.app, "registered_groups", list(cli.app.registered_groups))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(folder: Path) -> Path:
    """A project whose stack was never started, with the verbs of this one."""
    commands = "\n".join(f'{name} = "{target}"' for name, target in commands_of_the_project().items())
    (folder / "koboshi.toml").write_text(f'[ingest]\ntopics = ["transactions"]\n[commands]\n{commands}\n')
    return folder


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`end(*words)` is how `koboshi WORDS…` ends: its code, and what it says on stderr."""

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["koboshi", *words])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        assert isinstance(exited.value.code, int)
        return exited.value.code, capsys.readouterr().err

    return call


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_2(verb: str, project: Path, end: Callable[..., tuple[int, str]]) -> None:
    """And the verb changes nothing."""
    code, said = end(*verb.split(), "--no-such-option")
    assert code == 2
    assert "No such option" in said
    assert [path.name for path in project.iterdir()] == ["koboshi.toml"]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.split()[0] not in commands_of_the_project()])
def test_without_a_project_it_is_65_in_one_sentence(
    verb: str, folder: Path, end: Callable[..., tuple[int, str]]
) -> None:
    """And the folder stays empty."""
    code, said = end(*verb.split(), *required(VERBS[verb]))
    assert (code, said.count("\n"), said[:9]) == (65, 1, "koboshi: ")
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(WAIT_S)
@pytest.mark.parametrize("verb", sorted(VERBS.keys() - LASTING))
def test_where_nothing_runs_it_is_0_65_or_75(verb: str, project: Path, end: Callable[..., tuple[int, str]]) -> None:
    """In one sentence, which was foreseen."""
    code, said = end(*verb.split(), *required(VERBS[verb]))
    assert code in {0, 65, 75}
    assert said.count("\n") <= 1
    assert not (project / ".koboshi" / "logs" / TRACES).exists(), said


@contextmanager
def begun(project: Path, *words: str, **own: str) -> Iterator["subprocess.Popen[str]"]:
    """A verb in a process of its own; what is left of it is ended."""
    pipe, env = subprocess.PIPE, clean_environment(**UNMEASURED, **NOWHERE, **own)
    command = [str(KOBOSHI), *words]
    process = subprocess.Popen(command, cwd=project, env=env, stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def following_a_log(project: Path, number: int) -> int:
    with begun(project, "logs", "supervisor", "--follow") as process:
        assert first_line(process) == "the last line\n"
        process.send_signal(number)
        return process.wait(WAIT_S)


def watching_a_training(project: Path, number: int) -> int:
    with begun(project, "train", "watch", "--json") as process:
        assert KEY in first_line(process)
        process.send_signal(number)
        return process.wait(WAIT_S)


def waiting_for_a_part(project: Path, number: int) -> int:
    with begun(project, "up", "mlflow") as process:
        assert "mlflow" in first_line(process)
        process.send_signal(number)
        return process.wait(WAIT_S)


def landing_from_a_silent_broker(project: Path, number: int) -> int:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        with begun(project, "ingest", "run", KOBOSHI_KAFKA__BOOTSTRAP_SERVERS=address) as process:
            broker.settimeout(WAIT_S)
            connection, _ = broker.accept()
            with connection:
                process.send_signal(number)
                return process.wait(WAIT_S)


def serving(project: Path, number: int) -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with begun(project, "serve", "--port", str(port)) as process:
        while process.poll() is None and not answers(port):
            time.sleep(0.05)  # what it says is no measure: its last line may come before its port is open
        process.send_signal(number)
        return process.wait(WAIT_S)


def answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def busy(project: Path) -> Path:
    """A project with a log to follow, and a training that its driver is at."""
    (project / "koboshi.toml").write_text('[ingest]\ntopics = ["transactions"]\n')
    (project / ".koboshi" / "logs").mkdir(parents=True)
    (project / ".koboshi" / "logs" / "supervisor.log").write_text("the last line\n")
    with closing(Ledger(f"sqlite:///{project}/.koboshi/ledger.db")) as ledger:
        intents.claim(ledger, KEY)
        leases.acquire(ledger, f"training/{KEY}", "driver", ttl_s=10 * WAIT_S)
    return project


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        *product(
            (following_a_log, watching_a_training, waiting_for_a_part, landing_from_a_silent_broker),
            (signal.SIGINT, signal.SIGTERM),
        ),
        (serving, signal.SIGINT),  # SIGTERM, in the middle of load: tests/integration/serving
    ],
)
def test_a_signal_ends_a_verb_that_lasts_with_130_or_143(
    verb: Callable[[Path, int], int], number: signal.Signals, busy: Path
) -> None:
    """The process unwinds, and is not cut off."""
    assert verb(busy, number) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]


def test_output_that_nobody_reads_ends_a_verb_with_75(busy: Path) -> None:
    """As in `koboshi logs supervisor -f | head -1`: without a word, and without the interpreter's own 120."""
    log = busy / ".koboshi" / "logs" / "supervisor.log"
    with begun(busy, "logs", "supervisor", "--follow") as process:
        assert first_line(process) == "the last line\n"
        assert process.stdout is not None
        process.stdout.close()
        with log.open("a") as file:
            file.write("one more\n")
        assert process.wait(WAIT_S) == 75
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert {0, 2, 65, 75, 130, 143} == CODES
