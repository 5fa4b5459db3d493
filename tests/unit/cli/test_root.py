"""Options of `koboshi` itself."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from koboshi.cli import app


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == "koboshi 0.1.0\n"


@pytest.mark.parametrize("words", [["-h"], ["drill", "-h"], ["drill", "run", "-h"]])
def test_short_help_is_help_for_each_verb(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).output == CliRunner().invoke(app, [*words[:-1], "--help"]).output != ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_nothing_is_written(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--install-completion` alone writes into a person's start files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    shown = CliRunner().invoke(app, ["--show-completion"], prog_name="koboshi")
    assert shown.exit_code == 0
    assert f"_KOBOSHI_COMPLETE=complete_{shell}" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_verb_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell asks for it."""
    asked = {"_KOBOSHI_COMPLETE": "complete_bash", "COMP_WORDS": "koboshi topic cr", "COMP_CWORD": "2"}
    told = CliRunner().invoke(app, [], prog_name="koboshi", env=asked)
    assert told.stdout.split() == ["create"]
