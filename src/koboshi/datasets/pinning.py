"""Pinning: what was landed becomes what the datasets are made of."""

import fcntl
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koboshi.datasets import cut, span_records
from koboshi.datasets.cut import Cut, Landed
from koboshi.errors import Permanent
from koboshi.ledger import Ledger, spans
from koboshi.refs import SpanRef


class NothingLanded(Permanent):
    """There is no committed span to pin."""


def pin(ledger: Ledger, state_dir: Path, topics: Iterable[str], cut_path: Path) -> tuple[Cut, bool]:
    """Move the cut to the end of what was landed. Returns it, and whether it moved.

    Key: the spans' content digests. The only commit is the rename of the cut's file: under a crash it is the old one or
    the new one, and pinning again gives the same. An unchanged cut leaves the file alone. Two pins wait for each other.
    Raises `Conflict` on a step back, a gap or other records than those pinned, `NothingLanded`.
    """
    with _alone(state_dir):
        pinned = cut.read(cut_path)
        landed = _landed(ledger, topics)
        if not landed:
            raise NothingLanded("no span was landed yet: run `koboshi ingest run` first.")
        wanted = cut.advance(pinned, landed, lambda span, end: span_records.content_before(state_dir, span, end))
        if wanted == pinned:
            return wanted, False
        cut.write(cut_path, wanted)
        return wanted, True


def _landed(ledger: Ledger, topics: Iterable[str]) -> Landed:
    found: dict[str, dict[int, list[SpanRef]]] = defaultdict(lambda: defaultdict(list))
    for topic in topics:
        for span in spans.committed(ledger, topic):
            found[topic][span.range.partition].append(span)
    return found


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """A lock that the kernel gives back when its holder dies: a slow pin may not undo a later one."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "pin.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
