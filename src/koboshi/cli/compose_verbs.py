"""The verbs for containers: the secrets that docker-compose.yml asks for, and the file itself."""

from typing import Annotated

import typer

from koboshi.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Run the stack in containers: see docs/containers.md.")


@app.command()
def init() -> None:
    """Write the secrets of the containers to .env, which Compose reads; only you can read the file.

    Run again, it keeps the secrets that are there, because the volumes were made with them. Git is made to ignore the
    file; one that git tracks is refused.
    """
    from koboshi.stack.compose_prepare import FILE, ensure_env_file, keep_out_of_git

    path = load_settings(with_stack=False).project / FILE
    if keep_out_of_git(path):
        typer.echo(f"git ignores {FILE} in this clone from now on (.git/info/exclude).")
    made = ensure_env_file(path)
    typer.echo(f"{path} has {len(made)} new secrets." if made else f"{path} has every secret already.")
    typer.echo("Next: docker-compose build, then docker-compose up -d (or docker compose …).")


@app.command()
def render(
    parts: Annotated[list[str] | None, typer.Argument(help="Parts beside those that `koboshi up` starts.")] = None,
) -> None:
    """Write docker-compose.yml from the descriptions of the parts."""
    from koboshi.files import publish_bytes
    from koboshi.stack.compose_file import FILE
    from koboshi.stack.compose_file import render as text
    from koboshi.stack.parts_table import usual_groups_with
    from koboshi.stack.site import container_site

    path = load_settings(with_stack=False).project / FILE
    publish_bytes(path, text(container_site(), usual_groups_with(parts or ())).encode())
    typer.echo(f"{path} is written.")
