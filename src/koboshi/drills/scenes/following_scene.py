"""The scene of a stream that goes on: a steady producer, and a lander that follows it, while something is struck."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from koboshi.drills.evidence import Event, Evidence, Finding
from koboshi.drills.scenes import confluent_producer as producer
from koboshi.drills.scenes.lander_order import Order, told_in
from koboshi.drills.scenes.lander_run import KOBOSHI, LanderKind
from koboshi.drills.scenes.landing_evidence import Told, landed_per_second, redone
from koboshi.drills.scenes.topic_scene import TopicScene
from koboshi.drills.strike import Strike
from koboshi.errors import Unavailable
from koboshi.journal import Journal
from koboshi.settings import Settings

PARTITIONS, RATE, SPAN_RECORDS = 2, 1_000, 1_000
WARM_RECORDS, MORE_RECORDS = 2_000, 3_000
WARM_WITHIN_S, ENDS_WITHIN_S = 60.0, 120.0
LOOK_S = 0.1


class FollowingScene(TopicScene):
    """What is struck stands between the two, and comes back by itself or is brought back by `heal`."""

    def __init__(
        self, settings: Settings, say: Callable[[str], None], lander: LanderKind = KOBOSHI, patience_s: float = 20.0
    ) -> None:
        """Nothing is done yet; the lander gives up a try when it hears nothing for `patience_s`."""
        super().__init__(settings, say, lander, partitions=PARTITIONS)
        self._patience_s = patience_s
        self._producer: Any = None

    @property
    def sent(self) -> Path:
        """Where the producer writes down what it sends."""
        return self.folder / "sent"

    @property
    def lander_servers(self) -> str:
        """Where the lander finds Kafka."""
        return self.bootstrap_servers

    def begin(self) -> None:
        """Start both; returns when records come through."""
        self.make_topic()
        order = producer.Order(self.bootstrap_servers, self.topic.name, PARTITIONS, RATE, str(self.sent))
        self._producer = producer.start(order)
        self.lander = self.start_lander(
            Order(
                self.lander_servers,
                self.topic.name,
                str(self.state_dir),
                SPAN_RECORDS,
                patience_s=self._patience_s,
                until=str(self.folder / "over"),
            )
        )
        if not self._wait(lambda: self.landed_records() >= WARM_RECORDS, WARM_WITHIN_S):
            complaints = [str(t["reason"]) for t in self.told() if is_complaint(t)] or [self.lander.last_words()]
            raise Unavailable(f"no steady landing after {WARM_WITHIN_S:.0f} s: {complaints[-1]}")
        self.say(f"{RATE:,} records a second are produced and landed")

    def heal(self) -> None:
        """End a fault that does not end by itself."""

    def finish(self, limit_s: float) -> Finding:
        """Once records were landed again for a while: end the producer, let the lander land the rest, and end it."""
        self.heal()
        goal = self.landed_records() + MORE_RECORDS
        if not self._wait(lambda: self.landed_records() >= goal, limit_s):
            return Finding("landing_ended", False, f"no steady landing {limit_s:.0f} s after the strike")
        (self.sent / producer.OVER).touch()
        if self._producer.wait(ENDS_WITHIN_S) != 0:
            return Finding("landing_ended", False, "the producer could not send everything")
        (self.folder / "over").touch()
        code = self.lander.ended(ENDS_WITHIN_S)
        said = f"{self.landed_records():,} records were landed; the lander followed to the end"
        if code != 0:
            said = f"the lander ended with {code}: {self.lander.last_words()}"
        return Finding("landing_ended", code == 0, said)

    def told(self) -> list[Told]:
        """What the lander told."""
        return list(told_in(self.state_dir).events())

    def landed_records(self) -> int:
        """How many records it says it has landed."""
        return sum(t["records"] for t in self.told() if t["event"] == "landed")

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """First complaint of lander or producer; recovery is the end of the longest silence of the landing."""
        told, strike, tally = self.told(), strikes[0], self.tally()
        lost = list(Journal(self.sent / producer.JOURNAL).events())
        complaints = [t for t in (*told, *lost) if is_complaint(t) and t["monotonic"] > strike.at_monotonic]
        suspected = min(complaints, key=lambda t: t["monotonic"], default=None)
        back = longest_silence(told, strike.at_monotonic)
        moments = {"detected_after_s": suspected, "recovered_after_s": back}
        after = {name: t["monotonic"] - strike.at_monotonic for name, t in moments.items() if t is not None}
        measures = {"lost": float(tally.lost), "doubled": float(tally.twice), "redone": float(redone(told))}
        return Evidence({**after, **measures}, list(_events(complaints, back)), [landed_per_second(told)])

    def close(self, *, keep_files: bool) -> None:
        """End the producer too."""
        if self._producer:
            self._producer.kill()
            self._producer.wait()
        super().close(keep_files=keep_files)

    def _wait(self, question: Callable[[], bool], within_s: float, look_s: float = LOOK_S) -> bool:
        """Whether it came true in time, while both were at work."""
        deadline = time.monotonic() + within_s
        while not question():
            if time.monotonic() > deadline or self.lander.over:
                return False
            time.sleep(look_s)
        return True


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
