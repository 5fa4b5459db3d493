"""Repair: a committed span whose file is lost or changed is read again from the broker, and must come out the same."""

from collections.abc import Iterator

from koboshi.errors import Conflict
from koboshi.files import sha256_of
from koboshi.formats.parquet_span import FORMAT_VERSION
from koboshi.ingest.landing import Lander, write_range
from koboshi.ledger import spans
from koboshi.ledger.held_lease import HeldLease
from koboshi.refs import SpanRef


def repair_topic(lander: Lander, topic: str) -> Iterator[SpanRef]:
    """Put back each broken file of a topic, and yield its span. Changes no row: the row says what the bytes must be.

    Key: the committed row. Under a crash the file is as it was, or whole. Raises `Conflict` when the broker gives other
    records than were committed, or has them no more.
    """
    for span in broken_spans(lander, topic):
        with lander.holding(topic, span.range.partition, lander.lease_s) as lease:
            found = _read_again(lander, span, lease)
            if found.path != span.path:
                raise Conflict(_refusal(span, found))
        yield span


def _read_again(lander: Lander, span: SpanRef, lease: HeldLease) -> SpanRef:
    """Write the file in today's format, or in the earlier one that gives what was committed; leave no other."""
    for span_format in range(FORMAT_VERSION, 0, -1):
        found = write_range(lander.source, lander.state_dir, span.range, lease.keep, span_format)
        if found.path == span.path:
            break
        (lander.state_dir / found.path).unlink()
    return found


def broken_spans(lander: Lander, topic: str) -> list[SpanRef]:
    """The committed spans whose files are not there, or not as committed."""
    return [span for span in spans.committed(lander.ledger, topic) if not _intact(lander, span)]


def _intact(lander: Lander, span: SpanRef) -> bool:
    path = lander.state_dir / span.path
    return path.is_file() and sha256_of(path) == span.sha256


def _refusal(span: SpanRef, found: SpanRef) -> str:
    if (found.content, found.records) == (span.content, span.records):
        return f"{span.path} cannot be made again to the byte by this version of pyarrow: take it from a backup."
    return f"{span.path} cannot be made again: the broker gives other records than were landed; take it from a backup."
