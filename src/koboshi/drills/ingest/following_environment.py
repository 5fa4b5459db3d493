"""The environment of a stream that goes on: a steady producer, and a lander that follows it, under a fault."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from koboshi.drills.drill import Event, Evidence, Finding, Injection, seconds_after
from koboshi.drills.ingest import confluent_producer as producer
from koboshi.drills.ingest.lander_run import KOBOSHI, LanderKind, Order
from koboshi.drills.ingest.landing_environment import Told, TopicEnvironment, landed_evidence
from koboshi.drills.kit.own_run import LOOK_S, TcpProxy, eventually
from koboshi.errors import Unavailable
from koboshi.events import DrillNote, Sink
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.parquet_audit import read_records
from koboshi.journal import Journal
from koboshi.settings import Settings
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.parts.kafka import detour
from koboshi.stack.paths import find_paths
from koboshi.stack.topology import Ports, kept_base

PARTITIONS, RATE, SPAN_RECORDS = 2, 1_000, 1_000
WARM_RECORDS, MORE_RECORDS = 2_000, 3_000
WARM_WITHIN_S, ENDS_WITHIN_S = 60.0, 120.0


class FollowingEnvironment(TopicEnvironment):
    """The target of the fault is between the two: Kafka, which comes back, or the way to it, which is healed."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        lander: LanderKind = KOBOSHI,
        patience_s: float = 20.0,
        *,
        detoured: bool = False,
    ) -> None:
        """Nothing is done yet; the lander gives up a try when it hears nothing for `patience_s`.

        It reaches Kafka where everybody does, or `detoured`, through a proxy. The producer always goes there directly.
        """
        super().__init__(settings, emit, lander, partitions=PARTITIONS)
        self._patience_s, self._detoured = patience_s, detoured
        self._proxy: TcpProxy | None = None
        self._producer: Any = None
        self.gave_up_after_s: float | None = None

    @property
    def sent(self) -> Path:
        """Where the producer writes down what it sends."""
        return self.folder / "sent"

    def begin(self) -> None:
        """Open the way, and start both; returns when records come through."""
        servers = self._open_detour() if self._detoured else self.bootstrap_servers
        self.make_topic()
        self._producer = producer.start(
            producer.Order(self.bootstrap_servers, self.topic.name, PARTITIONS, RATE, str(self.sent))
        )
        self.ends.callback(self._producer.stop)
        self.lander = self.start_lander(
            Order(
                servers,
                self.topic.name,
                str(self.state_dir),
                SPAN_RECORDS,
                patience_s=self._patience_s,
                until=str(self.folder / "over"),
            )
        )
        if not self.wait_for(lambda: self.landed_records() >= WARM_RECORDS, WARM_WITHIN_S):
            complaints = [str(t["reason"]) for t in self.told() if is_complaint(t)] or [self.lander.last_words()]
            raise Unavailable(f"no steady landing after {WARM_WITHIN_S:.0f} s: {complaints[-1]}")
        self.emit(DrillNote(note=f"{RATE:,} records a second are produced and landed"))

    def heal(self) -> None:
        """End a fault of the way; Kafka comes back by itself."""
        if self._proxy:
            self._proxy.heal()

    @property
    def proxy(self) -> TcpProxy:
        """What is between lander and Kafka; only once the environment has begun."""
        if self._proxy is None:
            raise Unavailable("the proxy is not there yet.")
        return self._proxy

    def _open_detour(self) -> str:
        """Put a proxy where the broker sends the clients of its second listener to: nothing goes past it."""
        places = find_paths(self.settings.project, self.settings.state_dir)
        base = kept_base(places)
        if base is None or "kafka" not in known_parts(places):
            raise Unavailable("Kafka is not a part of this stack, so that nothing can be put before it.")
        start, end = detour(Ports(base))
        self._proxy = TcpProxy("127.0.0.1", end, start)
        self._proxy.start()
        self.ends.callback(self._proxy.close)
        return f"127.0.0.1:{self._proxy.listen}"

    def finish(self, limit_s: float) -> Finding:
        """Once records were landed again for a while: end the producer, let the lander land the rest, and end it."""
        self.heal()
        goal = self.landed_records() + MORE_RECORDS
        if not self.wait_for(lambda: self.landed_records() >= goal, limit_s):
            return Finding("landing_ended", False, f"no steady landing {limit_s:.0f} s after the injection")
        (self.sent / producer.OVER).touch()
        if self._producer.ended(ENDS_WITHIN_S) != 0:
            return Finding("landing_ended", False, "the producer could not send everything")
        (self.folder / "over").touch()
        return self.landing_ended(
            self.lander,
            ENDS_WITHIN_S,
            lambda: f"{self.landed_records():,} records were landed; the lander followed to the end",
        )

    def landed_records(self) -> int:
        """How many records it says it has landed."""
        return sum(t["records"] for t in self.told() if t["event"] == "landed")

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """First complaint of lander or producer; recovery is the end of the longest silence of the landing."""
        told, injection = self.told(), injections[0]
        lost = list(Journal(self.sent / producer.JOURNAL).events())
        complaints = [t for t in (*told, *lost) if is_complaint(t) and t["monotonic"] > injection.at_monotonic]
        suspected = min(complaints, key=lambda t: t["monotonic"], default=None)
        back = longest_silence(told, injection.at_monotonic)
        after = seconds_after(injection, detected_after_s=suspected, recovered_after_s=back)
        return landed_evidence(told, self.tally()).plus(after, _events(complaints, back))

    def wait_for(self, question: Callable[[], bool], within_s: float, look_s: float = LOOK_S) -> bool:
        """Whether it came true in time, while both were at work."""
        return eventually(question, within_s, look_s=look_s, over=lambda: self.lander.has_ended)


def is_complaint(told: Told) -> bool:
    """Whether somebody says that the broker does not answer."""
    return told["event"] in ("again", "lost the broker")


def longest_silence(told: Sequence[Told], since: float) -> Told | None:
    """The landing that ended the longest time without one, of those that end after a moment; None when none does."""
    landed = [t for t in told if t["event"] == "landed"]
    pairs = [pair for pair in pairwise(landed) if pair[1]["monotonic"] > since]
    return max(pairs, key=lambda pair: pair[1]["monotonic"] - pair[0]["monotonic"])[1] if pairs else None


def _events(complaints: Sequence[Told], back: Told | None) -> Iterator[Event]:
    for number, t in enumerate(sorted(complaints, key=lambda t: float(t["at"]))[:5]):
        yield Event(t["at"], "note" if number else "suspicion", str(t["reason"]))
    if back:
        yield Event(back["at"], "recovery", f"records are landed again, from offset {back['start']:,}")


def broker_kept_its_word(environment: FollowingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Kafka itself: what it acknowledged is on it, once, where it said; nothing is that nobody sent."""
    places = dict(_on_the_broker(environment))
    moved = sum(places.get(place) != number for number, place in producer.acknowledged(environment.sent).items())
    wrong = [*_wrong(environment, Counter(places.values())), *([f"{moved:,} are not where it said"] if moved else [])]
    return _found("broker_kept_its_word", "broker", environment, wrong)


def acknowledged_is_landed(environment: FollowingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Ours: what was acknowledged is landed, once; nothing is that nobody sent."""
    files = environment.counted(environment.state_dir)
    landed = Counter(producer.number_of(record[3] or b"") for file in files for record in read_records(file))
    return _found("acknowledged_is_landed", "landed", environment, list(_wrong(environment, landed)))


def _on_the_broker(environment: FollowingEnvironment) -> Iterable[tuple[tuple[int, int], int]]:
    with closing(ConfluentBroker(environment.bootstrap_servers)) as broker:
        for partition, end in environment.topic.ends().items():
            for record in broker.records(environment.topic.name, partition, 0, end):
                yield (partition, record[0]), producer.number_of(record[3] or b"")


def _wrong(environment: FollowingEnvironment, there: Counter[int]) -> list[str]:
    """Names the first record of each kind of wrong."""
    word, attempted = producer.acknowledged(environment.sent), producer.attempted(environment.sent)
    kinds = {
        "acknowledged, and lost": sorted(number for number in word if number not in there),
        "doubled": sorted(number for number, times in there.items() if times > 1),
        "there, and never sent": sorted(number for number in there if number >= attempted),
    }
    return [f"{len(numbers):,} are {what}, first record {numbers[0]}" for what, numbers in kinds.items() if numbers]


def _found(check: str, where: str, environment: FollowingEnvironment, wrong: Sequence[str]) -> Finding:
    word, attempted = len(producer.acknowledged(environment.sent)), producer.attempted(environment.sent)
    said = f"{where}: of {attempted:,} attempted records {word:,} were acknowledged"
    well = "every one is there, 0 lost, 0 doubled"
    return Finding(check, not wrong and word > 0, f"{said}; {'; '.join(wrong) or well}")
