"""Verbs of the outbox: status, deliver."""

import time
from typing import TYPE_CHECKING

import typer

from koboshi.cli.output import AsJson, events_of, print_json
from koboshi.settings import load_settings, required

if TYPE_CHECKING:
    from koboshi.registry.outbox import Entry, Outbox

app = typer.Typer(no_args_is_help=True, help="Trainings that wait to be recorded in MLflow, because it did not answer.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the trainings that wait for MLflow, oldest first, and those that MLflow has refused.

    Example: koboshi outbox status --json
    """
    outbox = _outbox()
    waiting, refused = outbox.entries(), outbox.refused()
    if as_json:
        print_json({"waiting": [_fields(entry) for entry in waiting], "refused": dict(refused)})
        return
    for entry in waiting:
        typer.echo(f"{entry.number:>4}  training {entry.key}  {entry.size_bytes / 1e6:,.1f} MB  waits {_age(entry)}")
    typer.echo("`koboshi outbox deliver` delivers it now." if waiting else "Nothing waits for MLflow.")
    for name, reason in refused.items():
        typer.echo(f"quarantined: {outbox.folder / 'refused' / name}.zip: {reason}")


@app.command()
def deliver(as_json: AsJson = False) -> None:
    """Record the waiting trainings in MLflow, in their order and each once.

    Safe to run again, at once with others, and after any crash.

    Example: koboshi outbox deliver
    """
    from koboshi.ingest.stray_files import open_ledger
    from koboshi.registry import mlflow_delivery

    settings = load_settings()
    uri = required(settings.mlflow.tracking_uri, "MLflow")
    ledger = open_ledger(settings.ledger_url, settings.state_dir)
    delivered = mlflow_delivery.deliver(_outbox(), ledger, uri, events_of(as_json=as_json))
    if as_json:
        print_json({"delivered": delivered})
        return
    typer.echo(f"{delivered} {'training' if delivered == 1 else 'trainings'} delivered.")


def _outbox() -> "Outbox":
    from koboshi.registry.outbox import Outbox

    return Outbox.of(load_settings().state_dir)


def _fields(entry: "Entry") -> dict[str, object]:
    return {
        "number": entry.number,
        "key": entry.key,
        "path": str(entry.path),
        "size_bytes": entry.size_bytes,
        "since_s": entry.since_s,
    }


def _age(entry: "Entry") -> str:
    minutes, seconds = divmod(round(time.time() - entry.since_s), 60)
    return f"since {minutes:,} min {seconds} s"
