"""Spans: what was planned and what was landed of each partition.

Planned rows come before the first byte is read, committed rows tile a partition without gap or overlap (I1), from where
its landing began.
"""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from koboshi.errors import Conflict
from koboshi.ledger import tables
from koboshi.ledger.database import Ledger, LedgerConnection
from koboshi.ledger.leases import Lease, check
from koboshi.ledger.tables import spans
from koboshi.refs import Beginning, SpanRange, SpanRef


def plan(ledger: Ledger, lease: Lease, ranges: Iterable[SpanRange]) -> None:
    """Write ranges down before they are read. Each starts where the last row of its partition ends.

    The first of a partition is also where its landing begins: the only commit of that, in the same transaction.
    Key: (topic, partition, start). Raises `Conflict` on a gap, an overlap or another topic of the same name.
    """
    with ledger.transaction() as connection:
        check(connection, lease)
        for span in ranges:
            if (last := _last(connection, span)) is None:
                _begin(connection, Beginning(span.topic, span.topic_id, span.partition, span.start))
            else:
                _check_follows(span, last)
            connection.execute(
                spans.insert().values(**span.as_json(), state="planned", token=lease.token, planned_at=time.time())
            )


def begin(ledger: Ledger, lease: Lease, beginning: Beginning) -> None:
    """Write down where the landing of a partition begins that has nothing to land yet; `plan` does it for all others.

    Key: (topic, partition), and the only commit of it. Under a crash there is none yet, and the next landing is the
    first. The same beginning again changes nothing, another one raises `Conflict`.
    """
    with ledger.transaction() as connection:
        check(connection, lease)
        _begin(connection, beginning)


def commit(ledger: Ledger, lease: Lease, span: SpanRef) -> None:
    """The only commit of stream → span: the row that names the file by its digest, under a valid token.

    Key: topic id, partition, [start, end). Under a crash: the range stays planned and is read again; a second commit
    of the same range with the same content changes nothing, with another content it raises `Conflict` (I1, I2).
    """
    with ledger.transaction() as connection:
        check(connection, lease)
        row = connection.execute(sa.select(spans).where(*_is(span.range))).one_or_none()
        if row is None or row.end != span.range.end or row.topic_id != span.range.topic_id:
            raise Conflict(f"{span.range} was never planned: run the ingest again.")
        if row.state == "committed":
            _check_same(row, span)
            return
        _check_next(connection, span.range)
        connection.execute(
            spans.update()
            .where(*_is(span.range))
            .values(
                state="committed",
                token=lease.token,
                path=span.path,
                sha256=span.sha256,
                content=span.content,
                records=span.records,
                committed_at=time.time(),
            )
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Frontier:
    """How far a partition is: `landed` is its newest committed range, `planned` are the later ones, in their order.

    Before the first commit `landed` is empty, [start, start) where its landing began, or None where it never began.
    """

    landed: SpanRange | None
    planned: tuple[SpanRange, ...] = ()

    @property
    def last(self) -> SpanRange | None:
        """The range that the next plan has to follow on."""
        return self.planned[-1] if self.planned else self.landed


def frontier(ledger: Ledger, topic: str, partition: int) -> Frontier:
    """How far a partition is, from its newest rows alone: however many spans are committed, it takes as long."""
    with ledger.snapshot() as connection:
        landed = _newest_committed(connection, topic, partition)
        waiting = connection.execute(_after(landed, topic, partition).order_by(spans.c.start)).all()
        begun = None if landed else connection.execute(_beginning(topic, partition)).one_or_none()
    reached = _range(landed) if landed else None
    if begun is not None:
        reached = SpanRange(topic, begun.topic_id, partition, begun.start, begun.start)
    return Frontier(reached, tuple(map(_range, waiting)))


def paths(ledger: Ledger, topic: str, partition: int) -> set[str]:
    """All files of a partition that a committed row names."""
    query = sa.select(spans.c.path).where(*_of(topic, partition), spans.c.state == "committed")
    return {row.path for row in ledger.rows(query)}


def planned(ledger: Ledger, topic: str) -> list[SpanRange]:
    """The ranges of a topic that were planned and not landed yet, by partition and start."""
    return [_range(row) for row in _rows(ledger, topic, "planned")]


def committed(ledger: Ledger, topic: str) -> list[SpanRef]:
    """The landed spans of a topic, by partition and start."""
    return [
        SpanRef(_range(row), row.path, row.sha256, row.content, row.records)
        for row in _rows(ledger, topic, "committed")
    ]


def beginnings(ledger: Ledger, topic: str) -> dict[int, Beginning]:
    """Where the landing of each partition of a topic began, as far as there was one."""
    query = sa.select(tables.beginnings).where(tables.beginnings.c.topic == topic)
    return {
        row.partition: Beginning(row.topic, row.topic_id, row.partition, row.start, row.origin)
        for row in ledger.rows(query.order_by(tables.beginnings.c.partition))
    }


def topics(ledger: Ledger) -> list[str]:
    """The names of all topics that were ever planned."""
    return [row.topic for row in ledger.rows(sa.select(spans.c.topic).distinct().order_by(spans.c.topic))]


def knows_partition(ledger: Ledger, topic: str, partition: int) -> bool:
    """Whether a range of the partition was ever planned."""
    return bool(ledger.rows(sa.select(spans.c.topic).where(*_of(topic, partition)).limit(1)))


def _rows(ledger: Ledger, topic: str, state: str) -> Sequence[sa.Row[Any]]:
    query = sa.select(spans).where(spans.c.topic == topic, spans.c.state == state)
    return ledger.rows(query.order_by(spans.c.partition, spans.c.start))


def _range(row: sa.Row[Any]) -> SpanRange:
    return SpanRange(row.topic, row.topic_id, row.partition, row.start, row.end)


def _is(span: SpanRange) -> tuple[sa.ColumnElement[bool], ...]:
    return spans.c.topic == span.topic, spans.c.partition == span.partition, spans.c.start == span.start


def _of(topic: str, partition: int) -> tuple[sa.ColumnElement[bool], ...]:
    return spans.c.topic == topic, spans.c.partition == partition


def _newest_committed(connection: LedgerConnection, topic: str, partition: int) -> sa.Row[Any] | None:
    """By the primary key from its end on, over the planned rows: committed ones come before all of them."""
    query = sa.select(spans).where(*_of(topic, partition), spans.c.state == "committed")
    return connection.execute(query.order_by(spans.c.start.desc()).limit(1)).one_or_none()


def _after(row: sa.Row[Any] | None, topic: str, partition: int) -> sa.Select[Any]:
    query = sa.select(spans).where(*_of(topic, partition), spans.c.state == "planned")
    return query if row is None else query.where(spans.c.start > row.start)


def _beginning(topic: str, partition: int) -> sa.Select[Any]:
    table = tables.beginnings
    return sa.select(table).where(table.c.topic == topic, table.c.partition == partition)


def _last(connection: LedgerConnection, span: SpanRange) -> sa.Row[Any] | None:
    query = sa.select(spans).where(*_of(span.topic, span.partition))
    return connection.execute(query.order_by(spans.c.start.desc()).limit(1)).one_or_none()


def _begin(connection: LedgerConnection, beginning: Beginning) -> None:
    table = tables.beginnings
    row = connection.execute(_beginning(beginning.topic, beginning.partition)).one_or_none()
    if row is None:
        connection.execute(table.insert().values(**beginning.as_json(), recorded_at=time.time()))
    elif row.topic_id != beginning.topic_id:
        raise Conflict(_made_again(beginning.topic))
    elif row.start != beginning.start:
        where = f"{beginning.topic}/{beginning.partition}"
        raise Conflict(f"the landing of {where} began at {row.start}, not at {beginning.start}: plan again.")


def _check_next(connection: LedgerConnection, span: SpanRange) -> None:
    """Committed spans tile from the first that was ever planned: none before this one may be waiting."""
    landed = _newest_committed(connection, span.topic, span.partition)
    waiting = _after(landed, span.topic, span.partition).with_only_columns(sa.func.min(spans.c.start))
    start = connection.execute(waiting).scalar_one()
    if start != span.start:
        raise Conflict(f"{span} does not start at {start}, where the committed spans end: land what is there first.")


def _check_follows(span: SpanRange, last: sa.Row[Any]) -> None:
    if last.topic_id != span.topic_id:
        raise Conflict(_made_again(span.topic))
    if last.end != span.start:
        raise Conflict(f"{span} does not start at {last.end}, where the planned spans end: plan again.")


def _made_again(topic: str) -> str:
    return f"topic {topic} was deleted and made again since its last landing: give it a new name."


def _check_same(row: sa.Row[Any], span: SpanRef) -> None:
    if (row.content, row.records) != (span.content, span.records):
        raise Conflict(f"{span.range} was landed before with other records: run `koboshi ingest audit`.")
