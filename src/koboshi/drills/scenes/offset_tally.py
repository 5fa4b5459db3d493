"""Which offsets landed files hold, beside those that the broker has: what is missing, and what is there twice."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from koboshi.ingest.parquet_audit import read_records


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """Offsets by partition, in order. `doubled` has each offset that is there more than once, `records` counts all."""

    records: int
    missing: Mapping[int, list[int]]
    doubled: Mapping[int, list[int]]
    unknown: Mapping[int, list[int]]

    @property
    def lost(self) -> int:
        """How many offsets are missing."""
        return sum(map(len, self.missing.values()))

    @property
    def twice(self) -> int:
        """How many offsets are there more than once."""
        return sum(map(len, self.doubled.values()))

    def wrong(self) -> Iterator[str]:
        """A sentence for each partition in which something is wrong."""
        for what, found in (("missing", self.missing), ("doubled", self.doubled), ("not on the broker", self.unknown)):
            for partition, offsets in found.items():
                if offsets:
                    more = f", and {len(offsets) - 1:,} more" if len(offsets) > 1 else ""
                    yield f"partition {partition}: offset {offsets[0]} is {what}{more}"


def tally(files: Iterable[Path], ends: Mapping[int, int]) -> Tally:
    """Compare files (their folder is named by the partition) with a topic that has all offsets up to its ends."""
    landed: dict[int, Counter[int]] = {partition: Counter() for partition in ends}
    for file in files:
        landed[int(file.parent.name)].update(record[0] for record in read_records(file))
    return compare(landed, ends)


def compare(landed: Mapping[int, Counter[int]], ends: Mapping[int, int]) -> Tally:
    """The tally of landed offsets; pure."""
    return Tally(
        records=sum(counts.total() for counts in landed.values()),
        missing={p: [o for o in range(end) if o not in landed[p]] for p, end in ends.items()},
        doubled={p: sorted(o for o, times in landed[p].items() if times > 1) for p in ends},
        unknown={p: sorted(o for o in landed[p] if o >= end) for p, end in ends.items()},
    )
