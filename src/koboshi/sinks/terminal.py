"""Events as lines on stdout, at once: in a job's log, and before the person who follows it."""

import sys

import typer

from koboshi.events import Event, Sink


def to_terminal(event: Event) -> None:
    """Write the event's sentence, if it has one."""
    if sentence := event.sentence:
        typer.echo(sentence)
        sys.stdout.flush()


def open_sink() -> Sink:
    """Wanted by everybody."""
    return to_terminal
