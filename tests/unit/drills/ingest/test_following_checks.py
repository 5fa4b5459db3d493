"""Each check on a stream that goes on can fail, for the broker and for us apart, and says what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.ingest import confluent_producer, following_environment
from koboshi.drills.ingest.confluent_producer import ACKNOWLEDGED, ATTEMPTED
from koboshi.drills.ingest.following_environment import acknowledged_is_landed, broker_kept_its_word, longest_silence
from koboshi.drills.ingest.network_cut_ingest import gave_up_in_time
from koboshi.ingest.audit import Record

RECORDS = 20


class Topic:
    name = "t"

    def __init__(self, held: list[list[int]]) -> None:
        self.held = held

    def ends(self) -> dict[int, int]:
        return {partition: len(numbers) for partition, numbers in enumerate(self.held)}


class Environment:
    """Twenty records in turn into two partitions, all acknowledged and landed."""

    bootstrap_servers = "unused"

    def __init__(self, folder: Path) -> None:
        self.sent = self.state_dir = folder
        self.gave_up_after_s: float | None = 4.2
        self.topic = Topic([list(range(0, RECORDS, 2)), list(range(1, RECORDS, 2))])
        self.landed = [number for numbers in self.topic.held for number in numbers]
        (folder / ATTEMPTED).write_text(f"10\n{RECORDS}\n99")
        self.acknowledge(RECORDS)

    def acknowledge(self, count: int) -> None:
        lines = (f"{number} {number % 2} {number // 2}\n" for number in range(count))
        (self.sent / ACKNOWLEDGED).write_text("".join(lines) + "7 1")

    def counted(self, _state_dir: Path) -> list[int]:
        return self.landed


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    environment = Environment(tmp_path)

    class Broker:
        def __init__(self, _servers: str) -> None:
            pass

        def records(self, _topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
            numbers = environment.topic.held[partition]
            return ((offset, 0, None, b"%d xxx" % numbers[offset], []) for offset in range(start, end))

        def close(self) -> None:
            pass

    monkeypatch.setattr(following_environment, "ConfluentBroker", Broker)
    monkeypatch.setattr(following_environment, "read_records", lambda number: [(0, 0, None, b"%d xxx" % number, [])])
    return environment


def test_both_hold_on_good_evidence(environment: Any) -> None:
    well = "of 20 attempted records 20 were acknowledged; every one is there, 0 lost, 0 doubled"
    assert (broker_kept_its_word(environment, []).holds, broker_kept_its_word(environment, []).said) == (
        True,
        f"broker: {well}",
    )
    assert (acknowledged_is_landed(environment, []).holds, acknowledged_is_landed(environment, []).said) == (
        True,
        f"landed: {well}",
    )


def test_more_than_was_acknowledged_may_be_there(environment: Any) -> None:
    """What was attempted and not acknowledged may be landed or not."""
    environment.acknowledge(15)
    assert broker_kept_its_word(environment, []).holds
    environment.landed.remove(17)
    assert acknowledged_is_landed(environment, []).holds


def test_a_record_lost_by_us_is_not_the_brokers(environment: Any) -> None:
    environment.landed.remove(6)
    found = acknowledged_is_landed(environment, [])
    assert not found.holds
    assert found.said.endswith("1 are acknowledged, and lost, first record 6")
    assert broker_kept_its_word(environment, []).holds


def test_a_record_doubled_by_us_is_named(environment: Any) -> None:
    environment.landed += [6, 8]
    assert acknowledged_is_landed(environment, []).said.endswith("2 are doubled, first record 6")


def test_a_record_from_nowhere_is_named(environment: Any) -> None:
    environment.landed.append(20)
    assert acknowledged_is_landed(environment, []).said.endswith("1 are there, and never sent, first record 20")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([0, 2, 4, 6, 8, 10, 12, 14, 16], "1 are acknowledged, and lost, first record 18; 1 are not where it said"),
        ([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 18], "1 are doubled, first record 18"),
        ([2, 0, 4, 6, 8, 10, 12, 14, 16, 18], "2 are not where it said"),
    ],
    ids=["lost", "doubled", "moved"],
)
def test_a_broker_that_breaks_its_word_is_named(environment: Any, held: list[int], said: str) -> None:
    environment.topic.held[0] = held
    found = broker_kept_its_word(environment, [])
    assert not found.holds
    assert found.said.endswith(said)


def test_nothing_acknowledged_proves_nothing(environment: Any) -> None:
    environment.acknowledge(0)
    assert not acknowledged_is_landed(environment, []).holds


def test_a_lander_that_gave_up_no_try_hung(environment: Any) -> None:
    assert gave_up_in_time(environment, []).holds
    environment.gave_up_after_s = None
    found = gave_up_in_time(environment, [])
    assert not found.holds
    assert "waited without an end" in found.said


def test_nothing_is_written_down_before_the_first_record(tmp_path: Path) -> None:
    assert confluent_producer.attempted(tmp_path) == 0
    assert confluent_producer.acknowledged(tmp_path) == {}


def test_the_recovery_is_the_end_of_the_longest_silence_after_the_injection() -> None:
    told = [{"event": "landed", "monotonic": at} for at in (0.0, 5.0, 6.0, 6.1, 8.5, 8.6)]
    noise = [{"event": "reading", "monotonic": 7.0}]
    assert longest_silence([*told, *noise], 6.05) == told[4]
    assert longest_silence(told, 9.0) is None
