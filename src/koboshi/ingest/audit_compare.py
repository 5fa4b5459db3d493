"""Comparing landed records with those that a broker holds: pure.

A compacted topic lacks records, each of them for one reason: a later record of its key. So the records that only we
hold are counted, and those of them for which no such reason was seen are kept by their key.
"""

import dataclasses
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import TypeAlias

# offset, timestamp in ms, key, value, headers
Record: TypeAlias = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]


@dataclasses.dataclass(slots=True)
class Comparison:
    """Two sequences of records, each in order of offsets.

    `differs_at` is the lowest offset at which both have another record, or only the broker has one. `absent` counts
    the records that only we hold, the first of them at `absent_at`; `unexplained` has the offsets of those that no
    later record of their key explains, nor that they delete their key.
    """

    differs_at: int | None = None
    absent: int = 0
    absent_at: int | None = None
    unexplained: dict[bytes, int] = dataclasses.field(default_factory=dict)

    def see(self, ours: Record | None, theirs: Record | None) -> None:
        """Take the records of one offset, which are the same, or one of them is missing."""
        offset, _, key, value, _ = ours or theirs  # type: ignore[misc]
        if key is not None:
            self.unexplained.pop(key, None)
        if theirs is not None or ours is None:
            return
        self.absent += 1
        self.absent_at = offset if self.absent_at is None else self.absent_at
        if key is not None and value is not None:
            self.unexplained[key] = offset


def compare(landed: Iterator[Record], held: Iterator[Record]) -> Comparison:
    """Compare up to the first difference; where the broker lacks some records, go on with those that both have."""
    for ours, theirs in zip_longest(landed, held):
        if ours != theirs:
            return _walk(_before(ours, landed), _before(theirs, held))
    return Comparison()


def _before(record: Record | None, rest: Iterator[Record]) -> Iterator[Record]:
    return rest if record is None else chain([record], rest)


def _walk(landed: Iterator[Record], held: Iterator[Record]) -> Comparison:
    found = Comparison()
    ours, theirs = next(landed, None), next(held, None)
    while ours is not None or theirs is not None:
        if ours is not None and (theirs is None or ours[0] < theirs[0]):
            found.see(ours, None)
            ours = next(landed, None)
        elif ours == theirs:
            found.see(ours, theirs)
            ours, theirs = next(landed, None), next(held, None)
        else:
            found.differs_at = theirs[0] if theirs is not None else None
            return found
    return found


def explain(found: Comparison, start: int, later: Iterator[Record]) -> bool:
    """Whether all that is absent is explained, by the records that come later than those compared, from `start` on.

    Where these have a hole themselves, a record that explains may be compacted away in turn: then nothing is said
    against those that are absent.
    """
    expected = start
    for record in later:
        if record[0] != expected:
            return True
        found.see(None, record)
        if not found.unexplained:
            return True
        expected += 1
    return not found.unexplained
