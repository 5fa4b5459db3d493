"""A warning: one line on stderr, beside what a verb does all the same."""

import typer


def warn(sentence: str) -> None:
    """Say it to the person, not to a program that reads stdout."""
    typer.echo(f"koboshi: warning: {sentence}", err=True)
