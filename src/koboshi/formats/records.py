"""Records as a stream has them, in columns: what a span file holds and what a content digest is computed of."""

import bisect
import dataclasses
from typing import Self

from koboshi.formats.content_digest import content_digest

# A name is bytes: Kafka's brokers take any, UTF-8 or not.
Header = tuple[bytes, bytes | None]


@dataclasses.dataclass(slots=True)
class Records:
    """Records as they came, one list for each column, in order of offset; timestamps in milliseconds since 1970."""

    offsets: list[int] = dataclasses.field(default_factory=list)
    timestamps_ms: list[int] = dataclasses.field(default_factory=list)
    keys: list[bytes | None] = dataclasses.field(default_factory=list)
    values: list[bytes | None] = dataclasses.field(default_factory=list)
    headers: list[list[Header]] = dataclasses.field(default_factory=list)

    def extend(self, more: "Records") -> None:
        """Append records that come after these."""
        self.offsets += more.offsets
        self.timestamps_ms += more.timestamps_ms
        self.keys += more.keys
        self.values += more.values
        self.headers += more.headers

    def __len__(self) -> int:
        return len(self.offsets)


@dataclasses.dataclass(frozen=True, slots=True)
class SpanContent:
    """What datasets and the ledger need of a span file, one entry a record; `topic_id` is None in format 1."""

    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    topic_id: str | None = None

    @property
    def digest(self) -> str:
        """The content digest of these records."""
        return content_digest(self.offsets, self.keys, self.values)

    def below(self, end: int) -> Self:
        """The records before offset `end`."""
        count = bisect.bisect_left(self.offsets, end)
        if count == len(self.offsets):
            return self
        return type(self)(self.offsets[:count], self.keys[:count], self.values[:count], self.topic_id)
