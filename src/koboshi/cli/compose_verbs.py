"""The verbs for containers: the secrets that docker-compose.yml asks for, and the file itself."""

import typer

from koboshi.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="The stack in containers: docs/containers.md.")


@app.command()
def init() -> None:
    """Make the secrets of the containers, in a file that Compose reads by itself: .env, for your eyes only.

    Run again, it keeps what is there: the volumes were made with it.
    """
    from koboshi.stack.compose_secrets import FILE, ensure_env_file

    path = load_settings(with_stack=False).project / FILE
    made = ensure_env_file(path)
    typer.echo(f"{path} has {len(made)} new secrets." if made else f"{path} has every secret already.")
    typer.echo("Next: docker-compose build, then docker-compose up -d (or docker compose …).")


@app.command()
def render() -> None:
    """Write docker-compose.yml from the table of parts."""
    from koboshi.files import publish_bytes
    from koboshi.stack.compose_site import container_site
    from koboshi.stack.compose_yaml import FILE
    from koboshi.stack.compose_yaml import render as text

    path = load_settings(with_stack=False).project / FILE
    publish_bytes(path, text(container_site()).encode())
    typer.echo(f"{path} is written.")
