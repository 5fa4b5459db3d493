"""Verbs of what is kept: `koboshi pin`, `koboshi dataset repair` and `koboshi ledger rebuild`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.cli.output import AsJson, lines_of, print_json
from koboshi.errors import BadInput, Corrupt
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from koboshi.ledger import Ledger
    from koboshi.refs import SpanRef

dataset = typer.Typer(no_args_is_help=True, help="Repair datasets whose files were changed.")


@dataset.callback()
def _dataset_group() -> None:
    """Keep `repair` a verb of its own: an application with one command would take its place."""


def pin(as_json: AsJson = False) -> None:
    """Move cut.json forward to the end of the landed records, so that `dvc repro` makes the datasets of them.

    Example: koboshi pin --json
    """
    from koboshi.datasets.pinning import pin as move
    from koboshi.formats import cut
    from koboshi.ingest.stray_files import open_ledger

    settings = load_settings()
    path = settings.project / cut.FILE
    landed = open_ledger(settings.ledger_url, settings.state_dir, settings.ingest.topics)
    pinned, moved = move(landed, settings.state_dir, settings.ingest.topics, path)
    if as_json:
        print_json({"moved": moved, "topics": pinned.model_dump(mode="json")["topics"]})
        return
    for topic, partitions in sorted(pinned.topics.items()):
        records = sum(partition.end - partition.start for partition in partitions.values())
        typer.echo(f"{topic}: {records:,} offsets in {len(partitions)} partitions")
    typer.echo(f"{cut.FILE} {'moved: `dvc repro` makes the datasets' if moved else 'is unchanged'}.")


@dataset.command()
def repair(as_json: AsJson = False) -> None:
    """Remove datasets and objects of DVC's cache whose bytes have changed, so that `dvc repro` makes them again.

    Looks into the project and the workspaces of its experiments, which share the cache.

    Example: koboshi dataset repair && dvc repro
    """
    from koboshi.datasets.dvc_cache import repair as remove_changed

    settings = load_settings()
    workspaces = sorted(path.parent for path in settings.state_dir.glob("workspaces/*/dvc.yaml"))
    removed = [path for folder in (settings.project, *workspaces) for path in remove_changed(folder)]
    if as_json:
        print_json([str(path) for path in removed])
        return
    for path in removed:
        typer.echo(f"removed {path}")
    typer.echo("Now run `dvc repro`." if removed else "Every dataset and every object of DVC's cache is intact.")


ledger = typer.Typer(no_args_is_help=True, help="The ledger of what was committed: rebuild it when it is lost.")

TopicIds = Annotated[
    list[str] | None,
    typer.Option(
        "--topic-id", metavar="TOPIC=ID", help="Id of a topic whose span files are too old to hold it (repeatable)."
    ),
]


@ledger.callback()
def _ledger_group() -> None:
    """Keep `rebuild` a verb of its own: an application with one command would take its place."""


@ledger.command()
def rebuild(topic_id: TopicIds = None, as_json: AsJson = False) -> None:
    """Rebuild the rows of landed spans from the span files, into a ledger that is empty or missing.

    A damaged ledger file is renamed and kept.

    Every file is read and checked. Landing goes on where the files end; processes that knew the lost ledger are
    fenced. Committed training steps and releases are not in these files: docs/durable-formats.md says what follows.

    Example: koboshi ledger rebuild --topic-id orders=Vk2mQ3hSTh6E1pXkqY0rSg
    """
    from koboshi.ingest.rebuild import rebuild_spans
    from koboshi.ledger import database

    settings, say = load_settings(), lines_of(as_json=as_json)
    given = dict(_pair(word) for word in topic_id or ())
    landed = rebuild_spans(_usable(settings.ledger_url, say), settings.state_dir, given, partial(_tell, say))
    if as_json:
        print_json([span.as_json() for span in landed])
        return
    for begun in database.first_starts(landed):
        if begun.start > 0:
            typer.echo(f"{begun.topic}/{begun.partition}: {begun.gone}.")
    records = sum(span.records for span in landed)
    typer.echo(f"{len(landed)} spans with {records:,} records are committed again; now run `koboshi ingest audit`.")


def _usable(url: str, say: "Callable[[str], None]") -> "Ledger":
    """The ledger; a new one, if the file that is there cannot be read."""
    from koboshi.ledger import Ledger, database, sqlite_dialect

    try:
        found = Ledger(url)
        database.is_empty(found)
    except Corrupt:
        say(f"the ledger is damaged: it is kept as {sqlite_dialect.quarantine(url)}")
        return Ledger(url)
    return found


def _pair(word: str) -> tuple[str, str]:
    topic, equals, found = word.partition("=")
    if not (topic and equals and found):
        raise BadInput(f"--topic-id {word} is not TOPIC=ID.")
    return topic, found


def _tell(say: "Callable[[str], None]", span: "SpanRef") -> None:
    say(f"read {span.path}: {span.records:,} records")
