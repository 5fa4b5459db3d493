"""The poison drill on a stream in memory: who lands raw is proved, who stops at poison is refuted."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.drill import DrillOutcome, run_drill
from koboshi.drills.ingest import poison_records
from koboshi.drills.ingest.lander_run import Order, Telling
from koboshi.drills.ingest.poison_records import DRILL, PoisonEnvironment, each_counted_once, refused_at_the_door
from koboshi.drills.kit.confluent_topic import Sent
from koboshi.errors import Unavailable
from koboshi.events import CleanupFailed, Event
from koboshi.ingest.landing import Lander
from koboshi.ledger import Ledger
from koboshi.settings import Drills, Kafka, Settings
from tests.support.memory_stream import MemoryStream

LIMIT = 200_000


class Topic:
    name, partitions = "drill-1", 2

    def __init__(self) -> None:
        self.stream = MemoryStream()
        self.stream.make(self.name, 0, 0)

    def make(self) -> None:
        pass

    delete = make

    def fill(self, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> list[Sent]:
        return [self._take(*record) for record in records]

    def _take(self, partition: int, key: bytes | None, value: bytes | None) -> Sent:
        if len(value or b"") > LIMIT:
            return Sent(partition, -1, "MSG_SIZE_TOO_LARGE")
        held = self.stream.partitions[self.name][partition]
        held.append((len(held), 0, key, value, []))
        return Sent(partition, len(held) - 1)

    def ends(self) -> dict[int, int]:
        return {number: len(held) for number, held in enumerate(self.stream.partitions[self.name])}


class Run:
    """Lands whenever it is looked at, unless it is one that stops at poison."""

    def __init__(self, topic: Topic, order: Order, stops: bool) -> None:
        ledger = Ledger(f"sqlite:///{order.state_dir}/ledger.db")
        self.lander = Lander(ledger, topic.stream, Path(order.state_dir), "me", 500, emit=Telling(order))
        self.stops = stops

    @property
    def has_ended(self) -> bool:
        if not self.stops:
            self.lander.land_topic("drill-1")
        return self.stops

    def ended(self, _limit_s: float) -> int:
        return 65 if self.stops else 0

    def last_words(self) -> str:
        return "lander: I cannot read that"

    def stop(self) -> None:
        self.lander.ledger.close()


def outcome(folder: Path, monkeypatch: pytest.MonkeyPatch, stops: bool = False) -> DrillOutcome:
    monkeypatch.setattr(poison_records, "OVERSIZED_BYTES", LIMIT // 2)
    monkeypatch.setattr(poison_records, "TOO_LARGE_BYTES", LIMIT + 1)
    monkeypatch.setattr(poison_records, "SOUND_RECORDS", 200)
    drills, kafka = Drills(stream="pipelines.drill_stream:WORKLOAD"), Kafka(bootstrap_servers="unused:1")
    environment: Any = PoisonEnvironment(Settings(project=folder, kafka=kafka, drills=drills), [].append)
    environment.topic = topic = Topic()

    def start_lander(order: Order) -> Run:
        environment.runs.append(Run(topic, order, stops))
        return environment.runs[-1]

    environment.start_lander = start_lander
    drill = dataclasses.replace(DRILL, steady=(), verdict=(refused_at_the_door, each_counted_once), within_s=20)
    return run_drill(drill, environment, dict, [].append)


def test_who_lands_raw_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four injections, each of which took; and every record is a row, a duplicate or a dead letter."""
    found = outcome(tmp_path, monkeypatch)
    assert found.verdict == "proved", found.reasons
    assert [injection.took for injection in found.injections] == [True] * 4
    assert found.findings[-2].said == "215 records: 200 rows, 5 duplicates, 10 dead letters, each counted once"
    assert found.evidence.measures["recovered_after_s"] > 0
    assert sum(value for _, value in found.evidence.series[0].points) == 215


def test_who_stops_at_poison_is_refuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome(tmp_path, monkeypatch, stops=True)
    assert found.reasons == ["the lander ended with 65: lander: I cannot read that"]
    assert "recovered_after_s" not in found.evidence.measures


def test_an_environment_ends_also_when_its_broker_is_gone(tmp_path: Path) -> None:
    """The verdict is worth more than a topic that stays: it is told."""
    told: list[Event] = []
    drills, kafka = Drills(stream="pipelines.drill_stream:WORKLOAD"), Kafka(bootstrap_servers="unused:1")
    environment: Any = PoisonEnvironment(Settings(project=tmp_path, kafka=kafka, drills=drills), told.append)
    environment.folder.mkdir(parents=True)

    class Gone(Topic):
        def delete(self) -> None:
            raise Unavailable("Kafka is gone")

    environment.topic = Gone()
    environment.close(keep_files=False)
    assert told == [CleanupFailed(reason="Kafka is gone")]
    assert not environment.folder.exists()
