"""What a landing with nothing new costs, by how much the ledger knows already: `make benchmark-planning`.

The same landing of one partition whose log has not grown, with 10 and with 100,000 committed spans in the ledger, in
rounds that alternate; and the ledger's one question in it alone. No record is read and no file is there. Figures and
machine go to benchmarks/results/planning.json; a missed bar is exit code 65.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bars
from benchmarks.bars import Bar, usually_at_most
from benchmarks.own_stack import PROJECT
from koboshi.exits import STOP, run_and_exit
from koboshi.formats.records import Records
from koboshi.ingest.landing import Lander
from koboshi.ingest.source import PartitionLog
from koboshi.ledger import Ledger, database, spans
from koboshi.refs import SpanRange, SpanRef

FEW, MANY = 10, 100_000
SPAN_RECORDS = 10
LANDING, FRONTIER = "a landing with nothing new", "how far the partition is"
BAR_PERCENT = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Took:
    """The median of one round's calls, in milliseconds."""

    database: str
    round: int
    what: str
    spans: int
    ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class Still:
    """A source with one partition per topic, all of which has landed; a topic is named after its number of spans."""

    def logs(self, topic: str) -> list[PartitionLog]:
        """Its log, which has not grown."""
        return [PartitionLog(topic, "id", 0, 0, int(topic) * SPAN_RECORDS)]

    def topic_id(self, _topic: str) -> str:
        """Its id."""
        return "id"

    def read(self, span: SpanRange) -> Iterator[Records]:
        """Nothing is to be read."""
        raise AssertionError(f"{span} was landed already")

    def close(self) -> None:
        """Nothing is held."""


def landed(count: int) -> list[SpanRef]:
    """So many spans of a topic, one after the other."""
    edges = range(0, count * SPAN_RECORDS, SPAN_RECORDS)
    ranges = (SpanRange(str(count), "id", 0, start, start + SPAN_RECORDS) for start in edges)
    return [SpanRef(one, f"spans/{count}/0/{one.start}", "0" * 64, "0" * 64, SPAN_RECORDS) for one in ranges]


def measured(url: str, name: str, rounds: int, calls: int) -> list[Took]:
    """All rounds with the ledger at `url`, which is empty."""
    found = []
    with closing(Ledger(url)) as ledger, tempfile.TemporaryDirectory() as folder:
        database.put_back(ledger, [*landed(FEW), *landed(MANY)])
        lander = Lander(ledger, Still(), Path(folder), "benchmark")
        work: Mapping[str, Callable[[str], object]] = {
            LANDING: lander.land_topic,
            FRONTIER: lambda topic: spans.frontier(ledger, topic, 0),
        }
        for number in range(rounds + 1):  # the first one warms up
            for what, call in work.items():
                for count in (FEW, MANY) if number % 2 else (MANY, FEW):
                    took = statistics.median(_timed_ms(call, str(count)) for _ in range(calls))
                    found += [Took(name, number, what, count, took)] if number else []
    return found


def _timed_ms(call: Callable[[str], object], topic: str) -> float:
    began = time.perf_counter()
    call(topic)
    return 1_000 * (time.perf_counter() - began)


def judged(found: Sequence[Took]) -> list[Bar]:
    """How much more many spans cost than few, pure; compared within a round."""
    return [
        _bar(found, name, what) for name in dict.fromkeys(t.database for t in found) for what in (LANDING, FRONTIER)
    ]


def _bar(found: Sequence[Took], name: str, what: str) -> Bar:
    few, many = (
        {took.round: took.ms for took in found if (took.database, took.what, took.spans) == (name, what, count)}
        for count in (FEW, MANY)
    )
    more = [100 * (many[number] / few[number] - 1) for number in few if number in many]
    ms = f" ({statistics.median(few.values()):.2f} ms)" if few else ""
    return usually_at_most(f"{name}: {what}{ms}, {MANY:,} spans against {FEW}", BAR_PERCENT, more, "% more")


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that are measured, after one that warms up.")] = 10,
    calls: Annotated[int, typer.Option(min=1, help="Calls in a round, of which the median counts.")] = 30,
    postgresql: Annotated[str | None, typer.Option(help="The URL of an empty database, to measure there, too.")] = None,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = bars.RESULTS,
) -> None:
    """Measure, show the table, keep the figures; exit 65 when a bar is missed."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(f"sqlite:///{folder}/ledger.db", "SQLite", rounds, calls)
    if postgresql:
        found += measured(postgresql, "PostgreSQL", rounds, calls)
    listed = judged(found)
    bars.show("Planning with nothing new", listed)
    kept = bars.save("planning", results, listed, PROJECT, raw=[dataclasses.asdict(took) for took in found])
    print(f"the figures are in {kept}")
    sys.exit(STOP if bars.missed(listed) else 0)


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main), "benchmark-planning")
