"""The verbs of the local stack: up, down, status, logs, kill."""

from typing import Annotated

import typer

from koboshi.settings import load_settings

PARTS = "kafka, ray, airflow, mlflow, replicas, gateway; all when none is named"


def up(parts: Annotated[list[str] | None, typer.Argument(help=PARTS)] = None) -> None:
    """Start the stack, or some of its parts, and return when they have done real work."""
    from koboshi.stack.operate import start
    from koboshi.stack.parts_table import chosen_groups

    settings = load_settings(with_stack=False)
    start(settings, chosen_groups(parts or (), settings))


def down() -> None:
    """Stop every part of the stack; nothing of it stays behind."""
    from koboshi.stack.operate import stop

    stop(load_settings(with_stack=False))
    typer.echo("The stack is down.")
