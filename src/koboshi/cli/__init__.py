"""The command line: one verb for each function. An error is one sentence on stderr, and an exit code."""

import typer

from koboshi.cli import (
    backup_verbs,
    dataset_verbs,
    drill_verbs,
    ingest_verbs,
    ledger_verbs,
    pipeline_verbs,
    registry_verbs,
    scoring_verbs,
    serving_verbs,
    stack_verbs,
    training_verbs,
)
from koboshi.cli.project_verbs import WithVerbsOfProject
from koboshi.exits import run_and_exit

app = typer.Typer(
    name="koboshi",
    cls=WithVerbsOfProject,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An ML pipeline that stands up again when its parts are knocked down.",
)

for verb in (stack_verbs.up, stack_verbs.down, stack_verbs.status, stack_verbs.logs, stack_verbs.kill):
    app.command()(verb)
app.command()(pipeline_verbs.init)
app.command()(pipeline_verbs.run)
app.command()(dataset_verbs.pin)
app.command()(backup_verbs.backup)
app.command()(backup_verbs.restore)
app.command()(serving_verbs.serve)
app.command()(scoring_verbs.score)
app.add_typer(pipeline_verbs.app, name="project")
app.add_typer(ingest_verbs.app, name="ingest")
app.add_typer(ledger_verbs.app, name="ledger")
app.add_typer(registry_verbs.app, name="outbox")
app.add_typer(training_verbs.app, name="train")
app.add_typer(drill_verbs.app, name="drill")
app.add_typer(stack_verbs.compose, name="compose")
app.add_typer(dataset_verbs.app, name="dataset")


def main() -> None:
    """Run a verb: exit 0 when it did what it says, 65 when trying again is of no use, 75 when it is."""
    run_and_exit(app, "koboshi")
