"""A stream in memory: what the lander asks of a source, and what the audit asks of a broker."""

import uuid
from collections.abc import Iterator

from koboshi.errors import BadInput, Conflict
from koboshi.formats.records import Records
from koboshi.ingest.source import PartitionLog
from koboshi.refs import SpanRange

Record = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]


def record(offset: int) -> Record:
    """A record like no other; every eighth lacks its key, every ninth its value, every fifth its headers."""
    key = None if offset % 8 == 7 else b"k%d" % (offset % 3)
    value = None if offset % 9 == 8 else b'{"n":%d}' % offset
    headers = [] if offset % 5 == 4 else [(b"seq", b"%d" % offset), (b"none", None)]
    return offset, 1_529_280_000_000 + offset, key, value, headers


class MemoryStream:
    """Topics as lists of records by partition. `batch` is how many records a read hands out at a time."""

    def __init__(self, batch: int = 7) -> None:
        self.ids: dict[str, uuid.UUID] = {}
        self.partitions: dict[str, list[list[Record]]] = {}
        self.starts: dict[tuple[str, int], int] = {}
        self.compacted: set[str] = set()
        self.batch = batch
        self.made = 0

    def make(self, topic: str, *lengths: int) -> None:
        """Make a topic (again, if it is there) with so many records in each partition."""
        self.made += 1
        self.ids[topic] = uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}/{self.made}")
        self.partitions[topic] = [[record(offset) for offset in range(length)] for length in lengths]

    def append(self, topic: str, partition: int, count: int) -> None:
        """More records at the end of a partition."""
        held = self.partitions[topic][partition]
        end = self._end(held)
        held += [record(offset) for offset in range(end, end + count)]

    def expire(self, topic: str, partition: int, start: int) -> None:
        """Delete the records before `start`, as retention does."""
        self.starts[topic, partition] = start

    def compact(self, topic: str, partition: int, before: int | None = None) -> None:
        """Keep the newest record of each key before an offset, as the broker's cleaner does behind its newest file."""
        self.compacted.add(topic)
        held = self.partitions[topic][partition]
        end = self._end(held) if before is None else before
        newest = {row[2]: row[0] for row in held if row[0] < end}
        held[:] = [row for row in held if row[0] >= end or (row[2] is not None and newest[row[2]] == row[0])]

    def logs(self, topic: str) -> list[PartitionLog]:
        self._check(topic)
        return [
            PartitionLog(topic, str(self.ids[topic]), number, self.first_offset(topic, number), self._end(held))
            for number, held in enumerate(self.partitions[topic])
        ]

    def read(self, span: SpanRange) -> Iterator[Records]:
        if span.start < self.first_offset(span.topic, span.partition):
            raise Conflict("gone")
        rows = list(self.records(span.topic, span.partition, span.start, span.end))
        for begin in range(0, max(len(rows), 1), self.batch):
            columns = [list(column) for column in zip(*rows[begin : begin + self.batch], strict=True)]
            yield Records(*columns) if columns else Records()

    def close(self) -> None:
        pass

    def first_offset(self, topic: str, partition: int) -> int:
        return self.starts.get((topic, partition), 0)

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        return (row for row in self.partitions[topic][partition] if start <= row[0] < end)

    @staticmethod
    def _end(held: list[Record]) -> int:
        return held[-1][0] + 1 if held else 0

    def _check(self, topic: str) -> None:
        if topic not in self.ids:
            raise BadInput(f"topic {topic} is not there")

    def topic_id(self, topic: str) -> str:
        self._check(topic)
        return str(self.ids[topic])


class MemoryBroker:
    """The same stream as the audit sees it."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream

    def topic_id(self, topic: str) -> uuid.UUID | None:
        return self.stream.ids.get(topic)

    def first_offset(self, topic: str, partition: int) -> int:
        return self.stream.first_offset(topic, partition)

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        return self.stream.records(topic, partition, start, end)

    def is_compacted(self, topic: str) -> bool:
        return topic in self.stream.compacted
