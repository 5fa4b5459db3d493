"""A steady producer in a process of its own: `python -m koboshi.drills.ingest.confluent_producer ORDER`.

It is idempotent and waits for all acknowledgements (acks=all). It numbers its records, writes down each before it is
handed over (attempted) and when the broker has taken it (acknowledged), and goes on until it is told to end.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from confluent_kafka import KafkaError, Message, Producer

from koboshi.drills.kit.own_run import LoggedProcess, die_with_the_drill
from koboshi.errors import Unavailable
from koboshi.exits import run_and_exit
from koboshi.journal import Journal

TICK_S = 0.05
FLUSHED_WITHIN_S = 120.0
PADDING = b" " + b"x" * 200
ATTEMPTED, ACKNOWLEDGED, OVER, JOURNAL = "attempted.txt", "acknowledged.txt", "over", "producer.jsonl"


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """So many records a second into a topic, in turn into its partitions; what is written down is in `folder`."""

    bootstrap_servers: str
    topic: str
    partitions: int
    rate: int
    folder: str


def start(order: Order) -> LoggedProcess:
    """Start the process; it dies with the drill."""
    folder = Path(order.folder)
    process = LoggedProcess(
        [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(order))], Path.cwd(), folder / "producer.log", {}
    )
    process.start()
    return process


def attempted(folder: Path) -> int:
    """How many records were handed to the client: those numbered below."""
    return max(map(int, _lines(folder / ATTEMPTED)), default=0)


def acknowledged(folder: Path) -> Mapping[int, tuple[int, int]]:
    """The records that the broker has taken, and where it put them (partition, offset)."""
    told = (map(int, line.split()) for line in _lines(folder / ACKNOWLEDGED))
    return {number: (partition, offset) for number, partition, offset in told}


def number_of(value: bytes) -> int:
    """The number of a record, from its value."""
    return int(value.split()[0])


def _lines(path: Path) -> list[str]:
    """Whole lines only: the last one may be under way."""
    return path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []


class SteadyProducer:
    """Keeps its pace by the clock, so that what could not be sent meanwhile is sent afterwards."""

    def __init__(self, order: Order, attempts: TextIO, acknowledgements: TextIO) -> None:
        """Nothing is sent yet."""
        self._order, self._attempts, self._acknowledgements = order, attempts, acknowledgements
        self._journal = Journal(Path(order.folder) / JOURNAL)
        self._producer = Producer(
            {
                "bootstrap.servers": order.bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "delivery.timeout.ms": int(FLUSHED_WITHIN_S * 1_000),
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
                "error_cb": self._failed,
            }
        )

    def run(self) -> None:
        """Until the file that ends it is there; raises `Unavailable` when not everything was taken then."""
        over, began, sent = Path(self._order.folder) / OVER, time.monotonic(), 0
        while not over.exists():
            due = int((time.monotonic() - began) * self._order.rate)
            self._attempts.write(f"{due}\n")
            self._attempts.flush()
            for number in range(sent, due):
                self._send(number)
            sent = due
            self._producer.poll(TICK_S)
            self._acknowledgements.flush()
        if left := self._producer.flush(FLUSHED_WITHIN_S):
            raise Unavailable(f"{left} records were not acknowledged: see `koboshi status`.")

    def _send(self, number: int) -> None:
        value, partition = b"%d%s" % (number, PADDING), number % self._order.partitions
        self._producer.produce(self._order.topic, value, None, partition, on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            number = number_of(message.value() or b"")
            self._acknowledgements.write(f"{number} {message.partition()} {message.offset()}\n")

    def _failed(self, error: Any) -> None:
        self._journal.record("lost the broker", reason=error.str())


def main() -> None:
    """Carry out the order in the arguments."""
    die_with_the_drill()
    order = Order(**json.loads(sys.argv[1]))
    folder = Path(order.folder)
    with (folder / ATTEMPTED).open("w") as attempts, (folder / ACKNOWLEDGED).open("w") as acknowledgements:
        SteadyProducer(order, attempts, acknowledgements).run()


if __name__ == "__main__":
    run_and_exit(main, "producer")
