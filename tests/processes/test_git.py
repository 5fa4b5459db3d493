"""A project under git, with a real git: `git add -A` takes nothing of the state folder, and no secrets."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from koboshi.cli import app
from koboshi.errors import BadInput
from koboshi.files import make_state_folder
from koboshi.ingest.stray_files import open_ledger
from koboshi.settings import load_settings, load_what_fits
from koboshi.stack.paths import find_paths, make_own
from koboshi.stack.topology import ensure_secrets


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Callable[[str], str]) -> Path:
    """A repository of its own, that ignores nothing yet; the project is in a folder of it."""
    for name in [name for name in os.environ if name.startswith(("KOBOSHI_", "GIT_"))]:
        monkeypatch.delenv(name)
    subprocess.run([tool("git"), "init", "--quiet", tmp_path], check=True)
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "koboshi.toml").write_text("")
    monkeypatch.setenv("KOBOSHI_PROJECT", str(folder))
    return folder


def taken(project: Path) -> list[str]:
    """What `git add -A` would commit."""
    for words in (("add", "-A"), ("ls-files", "-z")):
        done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split("\0") if name)


@pytest.mark.parametrize("moved", [False, True])
def test_the_state_folder_ignores_itself_whatever_makes_it(project: Path, moved: bool) -> None:
    """Also where a setting puts it; so the ledger and the secrets of a first start are never taken."""
    if moved:
        (project / "koboshi.toml").write_text('state_dir = "var/state"\n')
    settings = load_settings(project)
    open_ledger(settings.ledger_url, settings.state_dir).close()
    paths = find_paths(project, settings.state_dir)
    make_own(paths)
    ensure_secrets(paths)
    assert (settings.state_dir / "ledger.db").stat().st_size > 0
    assert taken(project) == ["koboshi.toml"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths.own.iterdir()] == [0o600] * 3
    assert stat.S_IMODE(paths.own.stat().st_mode) == 0o700


@pytest.mark.parametrize("read", [load_settings, lambda project: load_what_fits(pytest.fail, project=project)])
def test_one_that_is_there_already_is_made_to(project: Path, read: Callable[[Path], object]) -> None:
    """Whichever verb comes first; what a person has written into its .gitignore stays."""
    state = project / ".koboshi"
    (state / "stack").mkdir(parents=True)
    (state / "stack" / "secrets.json").write_text("{}")
    assert taken(project) != ["koboshi.toml"]
    subprocess.run(["git", "rm", "-r", "--cached", "--quiet", "."], cwd=project, check=True)
    read(project)
    assert taken(project) == ["koboshi.toml"]
    (state / ".gitignore").write_text("stack\n")
    read(project)
    assert (state / ".gitignore").read_text() == "stack\n"


def test_a_folder_with_other_things_is_left_alone(project: Path) -> None:
    """The project itself, above all."""
    (project / "koboshi.toml").write_text('state_dir = "."\n')
    settings = load_settings(project)
    make_state_folder(settings.state_dir)
    open_ledger(settings.ledger_url, settings.state_dir).close()
    load_settings(project)
    (project / "data").mkdir()
    (project / "data" / "mine.csv").touch()
    make_state_folder(project / "data")
    assert list(project.glob("**/.gitignore")) == []


def test_the_secrets_of_containers_are_kept_out(project: Path) -> None:
    """By a rule of this clone, once; where a rule of the project is there already, none is added."""
    said = [CliRunner().invoke(app, ["compose", "init"]).stdout for _ in range(2)]
    assert ["git ignores .env in this clone" in one for one in said] == [True, False]
    assert taken(project) == ["koboshi.toml"]
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    exclude = project.parent / ".git" / "info" / "exclude"
    assert exclude.read_text().splitlines()[-1] == "/my project/.env"
    exclude.write_text("# no newline")
    assert "git ignores" in CliRunner().invoke(app, ["compose", "init"]).stdout
    assert exclude.read_text() == "# no newline\n/my project/.env\n"
    exclude.unlink()
    (project / ".gitignore").write_text(".env\n")
    assert "git ignores" not in CliRunner().invoke(app, ["compose", "init"]).stdout
    assert not exclude.exists()


def test_secrets_that_git_tracks_are_refused(project: Path) -> None:
    """Nothing is written into a file that the next commit takes."""
    (project / ".env").write_text("MINE=1\n")
    assert ".env" in taken(project)
    ended = CliRunner().invoke(app, ["compose", "init"])
    assert isinstance(ended.exception, BadInput)
    assert "run `git rm --cached .env`" in str(ended.exception)
    assert (project / ".env").read_text() == "MINE=1\n"


def test_init_and_render_say_what_they_did_and_are_safe_to_run_again(
    project: Path,
) -> None:
    """The verbs, in a project of their own."""
    first, second = (CliRunner().invoke(app, ["compose", "init"]).output for _ in range(2))
    assert "has 6 new secrets" in first
    assert "has every secret already" in second
    assert CliRunner().invoke(app, ["compose", "render"]).exit_code == 0
    assert "services:" in (project / "docker-compose.yml").read_text()
