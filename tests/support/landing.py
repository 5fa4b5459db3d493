"""Spans as the lander leaves them, made without a broker: for tests of what comes after landing."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from koboshi.files import publish
from koboshi.formats.content_digest import content_digest
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange, SpanRef

Record = tuple[bytes | None, bytes | None]

SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ]
)


def record(key: object, **value: object) -> Record:
    """A record with a JSON value."""
    return str(key).encode(), json.dumps(value).encode()


def transaction(number: int, when: str, customer: int = 1, terminal: int = 1, cents: int = 1000) -> Record:
    return record(
        customer,
        transaction_id=number,
        tx_datetime=when,
        customer_id=customer,
        terminal_id=terminal,
        amount_cents=cents,
    )


def report(number: int, when: str) -> Record:
    return record(number, transaction_id=number, reported_at=when)


def land(
    ledger: Ledger,
    state_dir: Path,
    topic: str,
    partition: int,
    records: Sequence[Record],
    *,
    borders: Sequence[int] = (),
    start: int = 0,
) -> list[SpanRef]:
    """Land one partition's records from offset `start`, cut at these offsets; returns the committed spans."""
    lease = leases.acquire(ledger, f"ingest:{topic}", "test", ttl_s=60)
    ends = sorted({*(b for b in borders if start < b < start + len(records)), start + len(records)})
    done = []
    for first, last in itertools.pairwise((start, *ends)):
        span = SpanRange(topic, f"id-of-{topic}", partition, first, last)
        ref = _write(state_dir, span, records[first - start : last - start])
        spans.plan(ledger, lease, [span])
        spans.commit(ledger, lease, ref)
        done.append(ref)
    leases.release(ledger, lease)
    return done


def _write(state_dir: Path, span: SpanRange, records: Sequence[Record]) -> SpanRef:
    offsets = list(range(span.start, span.end))
    keys, values = [key for key, _ in records], [value for _, value in records]
    columns = [offsets, [0] * len(records), keys, values, [[]] * len(records)]
    table = pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)
    folder = state_dir / "spans" / span.topic / str(span.partition)
    published = publish(
        folder,
        lambda digest: f"{span.start}-{span.end}-{digest[:16]}.parquet",
        lambda path: pq.write_table(table, path),
    )
    path = published.path.relative_to(state_dir).as_posix()
    return SpanRef(span, path, published.sha256, content_digest(offsets, keys, values), len(records))
