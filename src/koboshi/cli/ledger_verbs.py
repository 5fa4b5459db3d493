"""Verbs of the ledger: rebuild."""

from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.errors import BadInput, Corrupt
from koboshi.settings import load_settings

if TYPE_CHECKING:
    from koboshi.ledger import Ledger
    from koboshi.refs import SpanRef

app = typer.Typer(no_args_is_help=True, help="The ledger of what was committed: rebuild it when it is lost.")

TopicIds = Annotated[
    list[str] | None,
    typer.Option(
        "--topic-id", metavar="TOPIC=ID", help="Id of a topic whose span files are too old to hold it (repeatable)."
    ),
]


@app.callback()
def _group() -> None:
    """Keep `rebuild` a verb of its own: an application with one command would take its place."""


@app.command()
def rebuild(topic_id: TopicIds = None) -> None:
    """Rebuild the rows of landed spans from the span files, into a ledger that is empty or missing.

    A damaged ledger file is renamed and kept.

    Every file is read and checked. Landing goes on where the files end; processes that knew the lost ledger are
    fenced. Committed training steps and releases are not in these files: docs/durable-formats.md says what follows.
    """
    from koboshi.ingest.rebuild import rebuild_spans
    from koboshi.ledger import database

    settings = load_settings()
    given = dict(_pair(word) for word in topic_id or ())
    landed = rebuild_spans(_usable(settings.ledger_url), settings.state_dir, given, _tell)
    for begun in database.first_starts(landed):
        if begun.start > 0:
            typer.echo(f"{begun.topic}/{begun.partition}: {begun.gone}.")
    records = sum(span.records for span in landed)
    typer.echo(f"{len(landed)} spans with {records:,} records are committed again; now run `koboshi ingest audit`.")


def _usable(url: str) -> "Ledger":
    """The ledger; a new one, if the file that is there cannot be read."""
    from koboshi.ledger import Ledger, database, sqlite_dialect

    try:
        ledger = Ledger(url)
        database.is_empty(ledger)
    except Corrupt:
        typer.echo(f"the ledger is damaged: it is kept as {sqlite_dialect.move_aside(url)}")
        return Ledger(url)
    return ledger


def _pair(word: str) -> tuple[str, str]:
    topic, equals, found = word.partition("=")
    if not (topic and equals and found):
        raise BadInput(f"--topic-id {word} is not TOPIC=ID.")
    return topic, found


def _tell(span: "SpanRef") -> None:
    typer.echo(f"read {span.path}: {span.records:,} records")
