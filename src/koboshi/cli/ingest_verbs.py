"""Verbs of the ingest: run, status, audit, repair."""

from typing import Annotated

import typer

from koboshi.settings import load_settings, required

app = typer.Typer(no_args_is_help=True, help="Land the stream as committed spans, and prove that they are equal to it.")


@app.command()
def run(
    topic: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated.  [default: koboshi.toml]")
    ] = None,
    span_records: Annotated[int | None, typer.Option(min=1, help="Longest span.  [default: koboshi.toml]")] = None,
) -> None:
    """Land all that the topics hold at this moment. Safe to run again, at once, and after any crash."""
    import os
    import socket
    import time
    import uuid

    from koboshi.ingest.kafka_source import KafkaSource
    from koboshi.ingest.landing import Lander
    from koboshi.ledger import Ledger

    settings = load_settings()
    source = KafkaSource(required(settings.kafka.bootstrap_servers, "Kafka"))
    began = time.monotonic()
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    lander = Lander(
        Ledger(settings.ledger_url),
        source,
        settings.state_dir,
        holder,
        span_records or settings.ingest.span_records,
        settings.ingest.lease_s,
        lambda span: typer.echo(
            f"landed {span.range.topic}/{span.range.partition} [{span.range.start:,}, {span.range.end:,})"
        ),
    )
    try:
        done = [span for name in topic or settings.ingest.topics for span in lander.land_topic(name)]
    finally:
        source.close()
    took = time.monotonic() - began
    records = sum(span.records for span in done)
    typer.echo(f"landed {records:,} records in {len(done)} spans, {took:.1f} s" if done else "nothing new to land.")
