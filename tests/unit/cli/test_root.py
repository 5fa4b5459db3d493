"""Options of `koboshi` itself."""

import pytest
from typer.testing import CliRunner

from koboshi.cli import app


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == "koboshi 0.1.0\n"


@pytest.mark.parametrize("words", [["-h"], ["drill", "-h"], ["drill", "run", "-h"]])
def test_short_help_is_help_for_each_verb(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).output == CliRunner().invoke(app, [*words[:-1], "--help"]).output != ""
