"""What each verb of the command line has: help in plain English with an example, and JSON where it reports something.

The verbs are taken from the command line itself, so that a new one is looked at without a word here.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from koboshi import cli

WITHOUT_JSON = {
    "up": "it waits; `koboshi status --json` reports",
    "logs": "a log is lines of text already",
    "init": "it writes files",
    "run": "it shows what other verbs print; each of them has JSON of its own",
    "restore": "it puts files back; `koboshi ingest audit --json` reports on them",
    "serve": "it goes on for ever; its answers are JSON",
    "score": "it writes scores with a manifest",
    "project sync": "it writes dvc.yaml",
    "project code": "it writes code.json",
    "train run": "it trains; `koboshi train history --json` reports",
    "drill new": "it writes files",
    "compose init": "it writes .env",
    "compose render": "it writes docker-compose.yml",
}
BRACKETS = re.compile(r"(?<!\\)\[/?[a-z#@][^\]]*\]")
EXAMPLE = re.compile(r"^Example: (koboshi .+)$", re.MULTILINE)


def below(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from below(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


VERBS = dict(below(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_reports_has_json(verb: str) -> None:
    """Or stands above, with the reason."""
    options = {name for parameter in VERBS[verb].params for name in parameter.opts}
    assert ("--json" in options) != (verb in WITHOUT_JSON)


def test_what_stands_above_is_still_there() -> None:
    assert WITHOUT_JSON.keys() <= VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_has_an_example_of_that_verb(verb: str) -> None:
    """One that its own options take."""
    (example,) = EXAMPLE.findall(VERBS[verb].help)
    ours = [part.split() for part in example.split("&&") if part.split()[1 : 1 + len(verb.split())] == verb.split()]
    assert ours, example
    known = {name for parameter in VERBS[verb].params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in ours[0] if word.startswith("-")} <= known


@pytest.mark.parametrize("verb", VERBS)
def test_no_word_of_a_verbs_help_is_lost(verb: str) -> None:
    """What stands in square brackets is taken for a colour, and not shown."""
    texts = [VERBS[verb].help, *(getattr(parameter, "help", None) or "" for parameter in VERBS[verb].params)]
    assert [found for text in texts for found in BRACKETS.findall(text)] == []
    shown = CliRunner().invoke(cli.app, [*verb.split(), "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert EXAMPLE.findall(VERBS[verb].help)[0].split()[1] in shown.stdout
