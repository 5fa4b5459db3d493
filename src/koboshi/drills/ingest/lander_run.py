"""A lander in a process of its own, as the target of faults: `python -m koboshi.drills.ingest.lander_run ORDER`.

It is put together as `koboshi ingest run` does it, from the same parts and without a switch in any of them; what it
does besides, telling and pausing, is added from outside, through what the lander is given. Before that: what a drill
orders of it, and how the drill sees it from outside.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Self

import psutil

from koboshi.drills.kit.own_run import LoggedProcess, die_with_the_drill, eventually, stop_myself
from koboshi.errors import Transient
from koboshi.events import Event, SpanLanded
from koboshi.exits import run_and_exit
from koboshi.formats.records import Records
from koboshi.formats.span_files import FOLDER
from koboshi.ingest.kafka_source import KafkaSource
from koboshi.ingest.landing import Lander
from koboshi.journal import Journal
from koboshi.ledger import Ledger, leases, spans
from koboshi.ledger.database import LedgerConnection
from koboshi.refs import SpanRange

Pause = Literal["", "renamed", "committed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Land a topic into a state folder, once, or again and again until the file `until` is there.

    `pause` is a moment at which the process stops itself (SIGSTOP), once: when a file stands under its final name and
    is not committed yet, or right after it was committed. No signal from outside would hit it.
    """

    bootstrap_servers: str
    topic: str
    state_dir: str
    span_records: int = 10_000
    lease_s: float = 30.0
    patience_s: float = 20.0
    pause: Pause = ""
    until: str = ""

    def written(self) -> str:
        """As the one argument of the process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """What `written` gave."""
        return cls(**json.loads(text))

    @property
    def told(self) -> Journal:
        """Where landers of this state folder tell what they do: `reading`, `landed`, `again`."""
        return told_in(Path(self.state_dir))

    @property
    def is_last_round(self) -> bool:
        """Whether what is there now is all that is to be landed."""
        return not self.until or Path(self.until).exists()


def told_in(state_dir: Path) -> Journal:
    """The journal of the landers of a state folder."""
    return Journal(state_dir / "landers.jsonl")


STOPPED_WITHIN_S = 60.0
POLL_S = 0.005
MAGIC = b"PAR1"


@dataclasses.dataclass(frozen=True, slots=True)
class LanderKind:
    """What is put to the test: the program (arguments for Python), and which files it means to count."""

    program: Sequence[str]
    counted: Callable[[Path, str], Sequence[Path]]


def named_by_the_ledger(state_dir: Path, topic: str) -> list[Path]:
    """The files that the ledger's committed rows name."""
    with closing(Ledger(f"sqlite:///{state_dir / 'ledger.db'}")) as ledger:
        return [state_dir / span.path for span in spans.committed(ledger, topic)]


KOBOSHI = LanderKind(("-m", "koboshi.drills.ingest.lander_run"), named_by_the_ledger)


def has_begun(path: Path) -> bool:
    """Whether there is more in a file than its first word."""
    try:
        return path.stat().st_size > len(MAGIC)
    except FileNotFoundError:
        return False


def is_whole(path: Path) -> bool:
    """Whether a Parquet file has its end, without which nothing in it can be read; one that was renamed has it."""
    try:
        with path.open("rb") as file:
            return has_begun(path) and file.seek(-len(MAGIC), os.SEEK_END) > 0 and file.read() == MAGIC
    except FileNotFoundError:
        return True


class LanderRun(LoggedProcess):
    """One process. It dies with the drill, however that ends."""

    def __init__(self, kind: LanderKind, order: Order, project: Path, log: Path) -> None:
        """Start it."""
        super().__init__([sys.executable, *kind.program, order.written()], project, log, {})
        Path(order.state_dir).mkdir(parents=True, exist_ok=True)
        self.order = order
        self.start()

    def stopped(self) -> bool:
        """Wait until it has stopped itself; False when it ended first, or did not stop in time."""

        def is_stopped() -> bool:
            return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

        return eventually(is_stopped, STOPPED_WITHIN_S, look_s=POLL_S, over=lambda: self.has_ended)

    def parts(self) -> list[Path]:
        """The files that it has not given their names yet."""
        return list((Path(self.order.state_dir) / FOLDER / self.order.topic).glob("*/.part-*"))

    def growing(self) -> Path | None:
        """A file that it is writing just now: its end is not written yet."""
        return next((path for path in self.parts() if has_begun(path) and not is_whole(path)), None)


PAUSE_S = 0.2


class TellingSource(KafkaSource):
    """Tells of each range before it reads it."""

    def __init__(self, bootstrap_servers: str, patience_s: float, told: Journal) -> None:
        """Connects."""
        super().__init__(bootstrap_servers, patience_s)
        self._told = told

    def read(self, span: SpanRange) -> Iterator[Records]:
        """As Kafka's source."""
        self._told.record("reading", partition=span.partition, start=span.start, end=span.end)
        yield from super().read(span)


class PausingLedger(Ledger):
    """Stops its process once, before a transaction while a span's file stands that no row names: before its commit."""

    def __init__(self, url: str, files: Path, topic: str) -> None:
        """Opens it; `files` is the folder of the topic's spans."""
        self._armed = False
        super().__init__(url)
        self._files, self._topic, self._armed = files, topic, True

    @contextmanager
    def transaction(self) -> Iterator[LedgerConnection]:
        """As any ledger's."""
        if self._armed and len(list(self._files.glob("*/[0-9]*"))) > len(spans.committed(self, self._topic)):
            self._armed = False
            stop_myself()
        with super().transaction() as connection:
            yield connection


def lander_of(order: Order, source: KafkaSource) -> Lander:
    """The lander that an order asks for."""
    state_dir, url = Path(order.state_dir), f"sqlite:///{order.state_dir}/ledger.db"
    pauses = order.pause == "renamed"
    return Lander(
        ledger=PausingLedger(url, state_dir / FOLDER / order.topic, order.topic) if pauses else Ledger(url),
        source=source,
        state_dir=state_dir,
        holder=leases.this_process(),
        span_records=order.span_records,
        lease_s=order.lease_s,
        emit=Telling(order),
    )


class Telling:
    """Hears of each committed span, tells it, and pauses after the first if that is the order."""

    def __init__(self, order: Order) -> None:
        """Nothing is told yet."""
        self._order, self._pauses = order, order.pause == "committed"

    def __call__(self, event: Event) -> None:
        """Tell of a span."""
        if not isinstance(event, SpanLanded):
            return
        told = {"partition": event.partition, "start": event.start, "end": event.end}
        self._order.told.record("landed", records=event.records, **told)
        if self._pauses:
            self._pauses = False
            stop_myself()


def land(order: Order) -> None:
    """Land until all is landed; while it follows the topic, what may be tried again is tried again, as a task is."""
    while not _land_until_trouble(order):
        time.sleep(PAUSE_S)


def _land_until_trouble(order: Order) -> bool:
    """Whether all was landed."""
    try:
        with closing(TellingSource(order.bootstrap_servers, order.patience_s, order.told)) as source:
            lander = lander_of(order, source)
            while True:
                last = order.is_last_round
                lander.land_topic(order.topic)
                if last:
                    return True
                time.sleep(PAUSE_S)
    except Transient as error:
        if not order.until:
            raise
        order.told.record("again", reason=str(error))
        return False


def main() -> None:
    """Carry out the order in the arguments."""
    die_with_the_drill()
    land(Order.read(sys.argv[1]))


if __name__ == "__main__":
    run_and_exit(main, "lander")
