"""Verbs of Kafka's topics: create, list."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koboshi.cli.output import AsJson, print_json
from koboshi.settings import load_settings, required

if TYPE_CHECKING:
    from rich.table import Table

    from koboshi.ingest.kafka_topics import Topic

app = typer.Typer(no_args_is_help=True, help="List the topics of Kafka, or make one.")

HOUR_MS = 3_600_000


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The topic's name.")],
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="How many partitions it has.")] = 4,
    keep_hours: Annotated[
        int | None, typer.Option(min=1, help="How long records stay.", show_default="for ever")
    ] = None,
    replication: Annotated[
        int, typer.Option(min=-1, max=100, help="On how many brokers each record is; -1: as the cluster does it.")
    ] = -1,
    as_json: AsJson = False,
) -> None:
    """Make a topic for records to land. Safe to run again.

    A topic that is there as it is wanted stays as it is (exit 0). One with other partitions, or another time for which
    records stay, is unchanged, too, and the exit code is 65.

    To land its records, name it in koboshi.toml, in `topics` of the section `ingest`.

    Example: koboshi topic create orders --partitions 4
    """
    from koboshi.ingest.kafka_topics import FOR_EVER, make_topic

    settings = load_settings()
    servers = required(settings.kafka.bootstrap_servers, "Kafka")
    made = make_topic(servers, name, partitions, keep_hours * HOUR_MS if keep_hours else FOR_EVER, replication)
    landed = name in settings.ingest.topics
    if as_json:
        print_json({"topic": name, "partitions": partitions, "made": made, "landed": landed})
        return
    typer.echo(f"topic {name} {'is made' if made else 'is there already'}, with {partitions} partitions.")
    if not landed:
        typer.echo(f'To land its records, add "{name}" to [ingest] topics in koboshi.toml.')


@app.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """List the topics: partitions, replicas, offsets that they hold, how long records stay, and which are landed.

    Example: koboshi topic list --json
    """
    from koboshi.ingest.kafka_topics import list_topics as ask
    from koboshi.rich_tables import console, fitted

    settings = load_settings()
    found, landed = ask(required(settings.kafka.bootstrap_servers, "Kafka")), settings.ingest.topics
    if as_json:
        print_json([{**dataclasses.asdict(topic), "landed": topic.name in landed} for topic in found])
    elif found:
        console().print(fitted(topics_table(found, landed)), highlight=False)
    else:
        typer.echo("There are no topics yet: `koboshi topic create NAME` makes one.")


def topics_table(topics: "Sequence[Topic]", landed: Sequence[str]) -> "Table":
    """A row for each topic."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("topic", overflow="fold")
    for column in ("partitions", "replicas", "offsets", "records stay"):
        table.add_column(column, justify="right")
    table.add_column("landed")
    for topic in topics:
        numbers = (topic.partitions, topic.replication_factor, topic.offsets)
        said = "yes" if topic.name in landed else ""
        table.add_row(Text(topic.name), *(f"{number:,}" for number in numbers), _stay(topic.retention_ms), said)
    return table


def _stay(retention_ms: int | None) -> str:
    if retention_ms is None:
        return "not known"
    if retention_ms < 0:
        return "for ever"
    return f"{retention_ms / HOUR_MS:,.1f} h" if retention_ms >= HOUR_MS else f"{retention_ms / 1_000:,.0f} s"
