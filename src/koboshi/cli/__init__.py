"""The command line: one verb for each function. An error is one sentence on stderr, and an exit code."""

from importlib.metadata import version
from typing import Annotated

import typer

from koboshi.cli import (
    backup_verbs,
    data_verbs,
    drill_verbs,
    ingest_verbs,
    pipeline_verbs,
    registry_verbs,
    scoring_verbs,
    serving_verbs,
    stack_verbs,
    topic_verbs,
    training_verbs,
)
from koboshi.cli.project_verbs import WithVerbsOfProject
from koboshi.exits import run_and_exit

app = typer.Typer(
    name="koboshi",
    cls=WithVerbsOfProject,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # each verb takes them over
    help="An ML pipeline that stands up again when its parts are knocked down.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"koboshi {version('koboshi')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Options of koboshi itself."""


VERBS = (
    stack_verbs.up,
    stack_verbs.down,
    stack_verbs.status,
    stack_verbs.doctor,
    stack_verbs.logs,
    stack_verbs.kill,
    pipeline_verbs.init,
    pipeline_verbs.run,
    data_verbs.pin,
    backup_verbs.backup,
    backup_verbs.restore,
    serving_verbs.serve,
    scoring_verbs.score,
)
GROUPS = {
    "project": pipeline_verbs.app,
    "topic": topic_verbs.app,
    "ingest": ingest_verbs.app,
    "ledger": data_verbs.ledger,
    "outbox": registry_verbs.app,
    "train": training_verbs.app,
    "drill": drill_verbs.app,
    "compose": stack_verbs.compose,
    "dataset": data_verbs.dataset,
}

for verb in VERBS:
    app.command()(verb)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Run a verb: exit 0 when it did what it says, 65 when trying again is of no use, 75 when it is."""
    run_and_exit(app, "koboshi")
