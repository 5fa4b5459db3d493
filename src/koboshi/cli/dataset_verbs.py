"""Verbs of the datasets: `koboshi pin` and `koboshi dataset repair`."""

import json
from typing import Annotated

import typer

from koboshi.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Repair datasets whose files were changed.")


@app.callback()
def _group() -> None:
    """Keep `repair` a verb of its own: an application with one command would take its place."""


def pin(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Move cut.json forward to the end of the landed records, so that `dvc repro` makes the datasets of them."""
    from koboshi.datasets.pinning import pin as move
    from koboshi.formats import cut
    from koboshi.ingest.stray_files import open_ledger

    settings = load_settings()
    path = settings.project / cut.FILE
    ledger = open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics)
    pinned, moved = move(ledger, settings.state_dir, settings.ingest.topics, path)
    if as_json:
        typer.echo(json.dumps({"moved": moved, "topics": pinned.model_dump(mode="json")["topics"]}))
        return
    for topic, partitions in sorted(pinned.topics.items()):
        records = sum(partition.end - partition.start for partition in partitions.values())
        typer.echo(f"{topic}: {records:,} offsets in {len(partitions)} partitions")
    typer.echo(f"{cut.FILE} {'moved: `dvc repro` makes the datasets' if moved else 'is unchanged'}.")


@app.command()
def repair() -> None:
    """Remove datasets and objects of DVC's cache whose bytes have changed, so that `dvc repro` makes them again.

    Looks into the project and the workspaces of its experiments, which share the cache.
    """
    from koboshi.datasets.dvc_cache import repair as remove_changed

    settings = load_settings()
    workspaces = sorted(path.parent for path in settings.state_dir.glob("workspaces/*/dvc.yaml"))
    removed = [path for folder in (settings.project, *workspaces) for path in remove_changed(folder)]
    for path in removed:
        typer.echo(f"removed {path}")
    typer.echo("Now run `dvc repro`." if removed else "Every dataset and every object of DVC's cache is intact.")
