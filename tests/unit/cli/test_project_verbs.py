"""What a person writes into [commands], or anywhere in koboshi.toml, takes away that verb alone."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from koboshi.cli import app
from koboshi.cli.project_verbs import load_verb
from koboshi.errors import NotConfigured

GOOD = """
import typer
app = typer.Typer(help="A verb of this project.")
@app.command()
def hello() -> None:
    typer.echo("hello from the project")
@app.command()
def other() -> None: ...
"""
BROKEN = {
    "not there": (None, "ModuleNotFoundError: No module named"),
    "no syntax": ("def app(:\n", "SyntaxError: invalid syntax in .*verbs_[0-9]+.py, line 1"),
    "a number": ("app = 3\n", "TypeError: app is 3, and a typer.Typer is wanted"),
    "nothing": ("", "AttributeError: module .* has no attribute 'app'"),
    "raises": ("raise ValueError('two\\nlines')\n", "ValueError: two lines"),
    "ends": ("raise SystemExit(3)\n", "SystemExit: 3"),
    "not printable": ("class E(Exception):\n def __str__(self): return 'x' * 10_000\nraise E\n", "E: x+…"),
    "no verb": ("import typer\napp = typer.Typer()\n@app.command()\ndef f(x: 'Nix'): ...\n", "Error"),
}
_number = iter(range(10_000))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("koboshi.stack.paths.runtime_root", lambda: tmp_path / "runtime")
    (tmp_path / "koboshi.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("verbs_")]:
        del sys.modules[name]


def with_verb(project: Path, source: str | None, more: str = "") -> str:
    """A verb `mine` in a module of a name that no test before has imported."""
    module = f"verbs_{next(_number)}"
    if source is not None:
        (project / f"{module}.py").write_text(source)
    (project / "koboshi.toml").write_text(f'{more}[commands]\nmine = "{module}:app"\n')
    return module


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_a_verb_of_the_project_is_listed_and_called(project: Path) -> None:
    with_verb(project, GOOD)
    assert "mine" in run("--help").stdout
    called = run("mine", "hello")
    assert (called.exit_code, called.stdout) == (0, "hello from the project\n")


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_verb_is_one_warning_and_missing(project: Path, how: str) -> None:
    """`--help` lists the others; calling it says why, without a stack trace; nothing else is lost."""
    source, told = BROKEN[how]
    with_verb(project, source)
    listed = run("--help")
    assert listed.exit_code == 0
    assert "mine" not in listed.stdout
    assert "ingest" in listed.stdout
    [warning] = listed.stderr.splitlines()
    assert warning.startswith("koboshi: warning: [commands] mine = ")
    called = run("mine", "hello")
    assert isinstance(called.exception, NotConfigured)
    with pytest.raises(NotConfigured, match=told):
        raise called.exception
    down = run("down")
    assert (down.exit_code, down.stdout, down.stderr) == (0, "The stack is down.\n", "")


def test_a_verb_is_imported_only_when_it_is_called_or_listed(project: Path) -> None:
    """So `down` cannot be broken, slowed or ended by a project's module, and no file of it takes a library's place."""
    with_verb(project, "from pathlib import Path\nPath('imported').touch()\n" + GOOD)
    (project / "psutil.py").write_text("raise SystemExit('taken for a library')\n")
    assert run("down").exit_code == 0
    assert run("status").stdout == "Nothing runs: `koboshi up` starts the stack.\n"
    assert not (project / "imported").exists()
    assert str(project) not in sys.path
    run("mine", "hello")
    assert (project / "imported").exists()


@pytest.mark.parametrize("target", ["", ":", "os", "os:", ":app", "os:path", ".a:b", "a..b:c", "\0:x", "os:getcwd"])
def test_whatever_stands_for_a_module_is_refused_in_one_sentence(target: str) -> None:
    with pytest.raises(NotConfigured, match="cannot be loaded") as raised:
        load_verb("mine", target)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[ingest]\ntopic = 1\n", "unknown setting ingest.topic"),
        ("[training]\nactors = 0\n", "training.actors in koboshi.toml is 0"),
        ("[ingest\n", "koboshi.toml cannot be read"),
        ("\0\1\2", "koboshi.toml cannot be read"),
        ("commands = 3\n", "commands in koboshi.toml is 3"),
        ("[commands]\nmine = 3\n", "commands.mine in koboshi.toml is 3"),
        ('state_dir = "a\\u0000b"\n', "without NUL"),
    ],
)
def test_the_stack_is_looked_at_and_stopped_whatever_stands_in_the_settings(
    project: Path, toml: str, told: str
) -> None:
    """Each verb says once what is wrong; a verb that needs the settings refuses them."""
    (project / "koboshi.toml").write_text(toml)
    for words, code, said in [
        (("down",), 0, "The stack is down.\n"),
        (("status",), 75, "Nothing runs: `koboshi up` starts the stack.\n"),
    ]:
        ended = run(*words)
        assert (ended.exit_code, ended.stdout) == (code, said)
        [warning] = ended.stderr.splitlines()
        assert told in warning
    doctor = run("doctor", "--json")
    [settings] = [found for found in json.loads(doctor.stdout) if found["check"] == "settings"]
    assert (doctor.exit_code, doctor.stderr, settings["verdict"]) == (65, "", "wrong")
    assert told in settings["found"]
    helped = run("--help")
    assert helped.exit_code == 0
    assert told in helped.stderr
    for words in (("pin",), ("mine",)):
        with pytest.raises(NotConfigured, match=told.replace("[", r"\[")):
            raise run(*words).exception or AssertionError(words)


@pytest.mark.parametrize("words", [("kill", "kafka"), ("kill", "ray-node"), ("logs", "kafka"), ("logs", "nix")])
def test_where_nothing_was_started_it_is_said_how_to_start(project: Path, words: tuple[str, ...]) -> None:
    """No list of parts that are not there."""
    error = run(*words).exception
    assert str(error) == f"no stack was started here yet, so there is no {words[1]}: `koboshi up` starts one."


def test_a_name_that_koboshi_has_is_not_taken_over(project: Path) -> None:
    with_verb(project, GOOD)
    text = (project / "koboshi.toml").read_text().replace("mine", "down")
    (project / "koboshi.toml").write_text(text)
    assert "koboshi has a verb of that name" in run("--help").stderr
    assert run("down").stdout == "The stack is down.\n"


def test_outside_of_a_project_help_is_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOBOSHI_PROJECT", str(tmp_path))
    ended = run("--help")
    assert (ended.exit_code, ended.stderr) == (0, "")
