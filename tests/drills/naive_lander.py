"""The lander that everybody writes first: it subscribes, lets the client commit by itself, names files by uuid.

Its files appear whole, it starts again when it hears nothing, and it tells and pauses as the drill's own lander does:
the drill kills it at the same moments, and only its way of keeping its place is to blame for what comes out.
"""

import io
import os
import sys
import time
import uuid
from pathlib import Path

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from koboshi.drills.ingest.lander_run import LanderKind, Order
from koboshi.drills.kit.own_run import die_with_the_drill, stop_myself
from koboshi.formats.parquet_span import write_span
from koboshi.formats.records import Records


def all_files(state_dir: Path, topic: str) -> list[Path]:
    """A reader that trusts the folder, since there is nothing else to ask."""
    return sorted((state_dir / "spans" / topic).glob("*/*.parquet"))


KIND = LanderKind((__file__,), all_files)
IDLE_S = 3.0
HEARD_WITHIN_MS = 5_000
PIECE_BYTES = 4096


class NaiveLander:
    def __init__(self, order: Order) -> None:
        self.order, self.pause = order, order.pause
        self.consumer = KafkaConsumer(
            order.topic,
            bootstrap_servers=order.bootstrap_servers,
            bootstrap_timeout_ms=HEARD_WITHIN_MS,
            request_timeout_ms=HEARD_WITHIN_MS,
            group_id=f"naive-{order.topic}-{Path(order.state_dir).name}",
            group_instance_id="the-one",  # so that it need not wait for the end of its own dead self
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            enable_auto_commit=True,
            auto_commit_interval_ms=10,  # with each poll: what is held in memory is committed before its file is whole
            auto_offset_reset="earliest",
            max_poll_records=500,
        )
        self.held: dict[int, list[ConsumerRecord]] = {}

    def run(self) -> None:
        """Until nothing comes any more; in the last round not before all is read, since a busy machine begins late."""
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < IDLE_S or (self.order.is_last_round and not self.has_read_all()):
            for partition, records in self.consumer.poll(timeout_ms=200).items():
                heard_at = time.monotonic()
                self.hold(partition.partition, records)

    def has_read_all(self) -> bool:
        """Whether it has partitions, the broker has told where each of them ends, and it has come there."""
        ends = {partition: self.consumer.highwater(partition) for partition in self.consumer.assignment()}
        return bool(ends) and all(end is not None and self.consumer.position(p) >= end for p, end in ends.items())

    def conclude(self) -> None:
        for partition in list(self.held):
            self.write(partition)
        self.consumer.close()

    def hold(self, partition: int, records: list[ConsumerRecord]) -> None:
        held = self.held.setdefault(partition, [])
        if not held:
            self.tell("reading", partition, records)
        held += records
        if len(held) >= self.order.span_records:
            self.write(partition)

    def write(self, partition: int) -> None:
        held = self.held.pop(partition)
        folder = Path(self.order.state_dir) / "spans" / self.order.topic / str(partition)
        folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        write_in_pieces(folder / f".part-{name}", span_of(held))
        (folder / f".part-{name}").rename(folder / f"{name}.parquet")
        self.pause_at("renamed")
        self.tell("landed", partition, held)
        self.pause_at("committed")

    def tell(self, event: str, partition: int, records: list[ConsumerRecord]) -> None:
        start, end = records[0].offset, records[-1].offset + 1
        self.order.told.record(event, partition=partition, start=start, end=end, records=len(records))

    def pause_at(self, moment: str) -> None:
        if self.pause == moment:
            self.pause = ""
            stop_myself()


def span_of(records: list[ConsumerRecord]) -> bytes:
    content = io.BytesIO()
    write_span(content, columns(records), topic_id="")
    return content.getvalue()


def write_in_pieces(path: Path, content: bytes) -> None:
    """Each piece is on the disk before the next one: so a file takes long enough to grow to be seen growing."""
    with path.open("wb") as file:
        for start in range(0, len(content), PIECE_BYTES):
            file.write(content[start : start + PIECE_BYTES])
            file.flush()
            os.fsync(file.fileno())


def columns(records: list[ConsumerRecord]) -> Records:
    return Records(
        [record.offset for record in records],
        [record.timestamp for record in records],
        [record.key for record in records],
        [record.value for record in records],
        [[(name.encode(), value) for name, value in record.headers] for record in records],
    )


def follow(order: Order) -> None:
    """A service that is started again when it has heard nothing for a while; what it held in memory is gone then."""
    while True:
        last = order.is_last_round
        try:
            lander = NaiveLander(order)
            lander.run()
        except KafkaError as error:
            order.told.record("again", reason=type(error).__name__)
            continue
        if last:
            lander.conclude()
            return
        order.told.record("again", reason="it heard nothing")
        lander.consumer.close(autocommit=False)


if __name__ == "__main__":
    die_with_the_drill()
    follow(Order.read(sys.argv[1]))
