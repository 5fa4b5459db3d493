"""What verbs print: JSON for programs on stdout, and beside it what is said on the way on stderr."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from koboshi.events import Sink, in_words

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=1))


def lines_of(*, as_json: bool) -> Callable[[str], None]:
    """Where lines for people go: on stdout, unless JSON has that for itself."""
    return lambda line: typer.echo(line, err=as_json)


def events_of(*, as_json: bool) -> Sink:
    """Where events are said, in the same way and at once."""
    return in_words(lines_of(as_json=as_json))
