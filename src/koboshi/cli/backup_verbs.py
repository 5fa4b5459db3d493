"""`koboshi backup` and `koboshi restore`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.cli.output import AsJson, print_json
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from koboshi.events import Event, Sink

WithoutKafka = Annotated[
    bool, typer.Option("--without-kafka", help="Leave out Kafka's log; then the stack may stay up.")
]


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    without_kafka: WithoutKafka = False,
    as_json: AsJson = False,
) -> None:
    """Write ledger, landed spans, checkpoints, DVC's cache, MLflow and Kafka's log into one file.

    Kafka's log can be copied only while the stack is down. Secrets, Airflow's history and what git has are not in it.

    Example: koboshi down && koboshi backup /disk/monday.koboshi
    """
    from koboshi.backup.making import back_up

    with _watching("backing up", stderr=as_json) as emit:
        made = back_up(load_settings(with_stack=False), file.resolve(), with_kafka=not without_kafka, emit=emit)
    if as_json:
        print_json({"file": str(file.resolve()), "size_bytes": made.size_bytes, "sha256": made.sha256})
        return
    typer.echo(f"{file}: {made.size_bytes / 1e6:,.1f} MB, SHA-256 {made.sha256}")


def restore(file: Annotated[Path, typer.Argument(help="A file written by `koboshi backup`.")]) -> None:
    """Restore a backup into a project without data. Every byte is verified first.

    If it is interrupted, run it again.

    Example: koboshi restore /disk/monday.koboshi
    """
    from koboshi.backup.restoring import restore as put_back

    with _watching("restoring") as emit:
        put_back(load_settings(with_stack=False), file.resolve(), emit)
    typer.echo(
        "Restored: `koboshi up` starts the stack, `koboshi ingest audit` compares, `dvc repro` has nothing to do."
    )


@contextmanager
def _watching(what: str, *, stderr: bool = False) -> "Iterator[Sink]":
    """A bar on a terminal; elsewhere lines only."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from koboshi.events import BackupBegan, BytesCopied, RestoreBegan
    from koboshi.rich_tables import console as console_of

    console = console_of(stderr=stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def emit(event: "Event") -> None:
            match event:
                case BytesCopied():
                    progress.advance(task, event.count)
                case BackupBegan() | RestoreBegan():
                    progress.update(task, total=event.size_mb * 1e6)
            if sentence := event.sentence:
                console.print(sentence, markup=False, highlight=False, soft_wrap=True)

        yield emit
