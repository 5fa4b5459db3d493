"""The verbs of the local stack: up, down, status, logs, kill."""

from typing import Annotated

import typer

from koboshi.settings import load_settings

GROUPS = "kafka, ray, airflow, mlflow, replicas, gateway; all when none is named"


def up(parts: Annotated[list[str] | None, typer.Argument(help=GROUPS)] = None) -> None:
    """Start the stack, or some of its parts, and return when they have done real work.

    Parts that run already go on running. A part whose address is set in koboshi.toml or in the environment is not
    started. Listens on 127.0.0.1 only.
    """
    from rich.console import Console

    from koboshi.stack.operate import start
    from koboshi.stack.parts_table import chosen_groups
    from koboshi.stack.rich_table import Progress
    from koboshi.stack.until_healthy import wait_until_healthy

    settings = load_settings(with_stack=False)
    groups = chosen_groups(parts or (), settings)
    stack, table = start(settings, groups)
    started = {name: part for name, part in table.items() if part.group in groups}
    with Progress(Console()) as progress:
        wait_until_healthy(stack.places, started, progress.show)


def down() -> None:
    """Stop every part of the stack; nothing of it stays behind."""
    from koboshi.stack.operate import stop

    left = stop(load_settings(with_stack=False))
    typer.echo("The stack is down." + (f" {left} processes of a killed stack were ended." if left else ""))
