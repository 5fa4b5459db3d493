"""A lander in a process of its own, as the target of faults: `python -m koboshi.drills.ingest.lander_process ORDER`.

It is put together as `koboshi ingest run` does it, from the same parts and without a switch in any of them; what it
does besides, telling and pausing, is added from outside, through what the lander is given.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from koboshi.drills.ingest.lander_run import Order
from koboshi.drills.kit.own_run import die_with_the_drill, stop_myself
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
