"""The environment of a stream that goes on: it says why it does not begin or end. Nothing real runs here."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.ingest import confluent_producer, following_environment, network_cut_ingest
from koboshi.drills.ingest.confluent_producer import ACKNOWLEDGED, ATTEMPTED, JOURNAL, OVER, SteadyProducer
from koboshi.drills.ingest.following_environment import FollowingEnvironment
from koboshi.drills.ingest.lander_run import Order, told_in
from koboshi.drills.ingest.network_cut_ingest import DRILL, cut_the_network
from koboshi.drills.kit.confluent_topic import Tally
from koboshi.drills.kit.own_run import TcpProxy
from koboshi.errors import Unavailable
from koboshi.journal import Journal
from koboshi.settings import Kafka, Settings

INJECTION = Injection("SIGKILL", "Kafka", at_s=1.0, at_monotonic=0.0, took=True)


class Process:
    """A producer and a lander at once: neither does anything, both end as the test wants."""

    def __init__(self) -> None:
        self.code, self.has_ended, self.ended_by_kill = 0, False, 0
        self.landed_at_the_end: Callable[[], None] = lambda: None

    def ended(self, _limit_s: float) -> int:
        self.landed_at_the_end()
        return self.code

    def stop(self) -> None:
        self.ended_by_kill += 1

    def last_words(self) -> str:
        return "lander: rotten"


class Topic:
    name, made, deleted = "t", 0, 0

    def make(self) -> None:
        self.made += 1

    def delete(self) -> None:
        self.deleted += 1

    def ends(self) -> dict[int, int]:
        return {0: 0, 1: 0}


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    process = Process()
    monkeypatch.setattr(confluent_producer, "start", lambda _order: process)
    monkeypatch.setattr(following_environment, "WARM_WITHIN_S", 0.1)
    return process


def environment_of(kind: Callable[..., Any], folder: Path, process: Process, landed: int) -> Any:
    """A environment whose lander has already told of so many records."""
    environment: Any = kind(Settings(project=folder, kafka=Kafka(bootstrap_servers="unused:1")), [].append)
    environment.topic = Topic()
    environment.ordered = []

    def start_lander(order: Order) -> Process:
        environment.ordered.append(order)
        environment.runs.append(process)
        environment.sent.mkdir(parents=True, exist_ok=True)
        tell_landed(environment, landed)
        return process

    environment.start_lander = start_lander
    return environment


def tell_landed(environment: Any, records: int) -> None:
    told_in(environment.state_dir).record("landed", partition=0, start=0, end=records, records=records)


@pytest.fixture
def environment(tmp_path: Path, process: Process) -> Any:
    environment = environment_of(FollowingEnvironment, tmp_path, process, landed=2_000)
    environment.begin()
    return environment


def test_a_stream_that_does_not_get_going_says_why(tmp_path: Path, process: Process) -> None:
    """In the words of the last complaint, or of the lander's log."""
    environment = environment_of(FollowingEnvironment, tmp_path, process, landed=5)
    with pytest.raises(Unavailable, match="no steady landing after 0 s: lander: rotten"):
        environment.begin()
    told_in(environment.state_dir).record("again", reason="Kafka is silent")
    with pytest.raises(Unavailable, match="Kafka is silent"):
        environment_again(environment)
    environment.close(keep_files=False)
    assert (environment.topic.deleted, process.ended_by_kill) == (1, 4)  # a producer and a lander, begun twice
    assert not environment.folder.exists()


def environment_again(environment: Any) -> None:
    environment.make_topic = lambda: None
    environment.begin()


def test_it_ends_when_records_were_landed_again(environment: Any, process: Process) -> None:
    environment.heal = lambda: tell_landed(environment, 10)  # the goal counts from here
    later = environment.wait_for
    environment.wait_for = lambda question, within_s: tell_landed(environment, 3_000) or later(question, within_s)
    found = environment.finish(5)
    assert (found.holds, found.said) == (True, "5,010 records were landed; the lander followed to the end")
    assert (environment.sent / OVER).exists()
    assert (environment.folder / "over").exists()


@pytest.mark.parametrize(
    ("code", "more", "said"),
    [
        (0, 0, "no steady landing 0 s after the injection"),
        (75, 3_000, "the producer could not send everything"),
    ],
)
def test_it_does_not_end_well(environment: Any, process: Process, code: int, more: int, said: str) -> None:
    process.code = code
    wait = environment.wait_for
    environment.wait_for = lambda question, within_s: tell_landed(environment, more) or wait(question, within_s)
    found = environment.finish(0.1)
    assert (found.holds, found.said) == (False, said)


def test_a_lander_that_fails_at_the_end_is_told_with_its_last_words(environment: Any, process: Process) -> None:
    process.landed_at_the_end = lambda: None
    environment._producer = Process()
    process.code = 65
    wait = environment.wait_for
    environment.wait_for = lambda question, within_s: tell_landed(environment, 3_000) or wait(question, within_s)
    found = environment.finish(5)
    assert (found.holds, found.said) == (False, "the lander ended with 65: lander: rotten")


def test_a_dead_lander_is_not_waited_for(environment: Any, process: Process) -> None:
    process.has_ended = True
    assert not environment.finish(600).holds


def test_the_first_complaint_is_whoevers(environment: Any) -> None:
    environment._tally = Tally(0, {}, {}, {})
    Journal(environment.sent / JOURNAL).record("lost the broker", reason="connection refused")
    told_in(environment.state_dir).record("again", reason="Kafka is silent")
    tell_landed(environment, 5)
    found = environment.evidence([INJECTION])
    assert [(event.kind, event.said) for event in found.events] == [
        ("suspicion", "connection refused"),
        ("note", "Kafka is silent"),
        ("recovery", "records are landed again, from offset 0"),
    ]
    assert 0 < found.measures["detected_after_s"] < found.measures["recovered_after_s"]


def test_a_cut_needs_a_broker_that_sends_its_clients_round(tmp_path: Path, process: Process) -> None:
    environment = environment_of(DRILL.environment, tmp_path, process, landed=2_000)
    with pytest.raises(Unavailable, match="not a part of this stack"):
        environment.begin()
    with pytest.raises(Unavailable, match="not there yet"):
        _ = environment.proxy
    environment.close(keep_files=True)


@pytest.mark.parametrize("gives_up", [True, False])
def test_the_lander_is_led_through_the_proxy_and_its_first_complaint_counts(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch, gives_up: bool
) -> None:
    """The proxy listens where the broker sends its clients to; a lander that says no word has hung."""
    environment = environment_of(DRILL.environment, tmp_path, process, landed=2_000)
    monkeypatch.setattr(network_cut_ingest, "GIVES_UP_WITHIN_S", 60.0 if gives_up else 0.0)
    monkeypatch.setattr(network_cut_ingest, "SWALLOWED_WITHIN_S", 0.0)
    monkeypatch.setattr(following_environment, "kept_base", lambda _places: 100)
    monkeypatch.setattr(following_environment, "known_parts", lambda _places: {"kafka": None})
    monkeypatch.setattr(following_environment, "detour", lambda _ports: (0, 9))
    environment.begin()
    assert environment.ordered[0].bootstrap_servers == f"127.0.0.1:{environment.proxy.listen}"
    told_in(environment.state_dir).record("reading", partition=0, start=0, end=5)
    cut = TcpProxy.inject

    def inject(proxy: TcpProxy, target: str, within_s: float) -> Injection:
        done = cut(proxy, target, within_s)
        if gives_up:
            told_in(environment.state_dir).record("again", reason="Kafka is silent")
        return done

    monkeypatch.setattr(TcpProxy, "inject", inject)
    assert not cut_the_network(environment)[0].took, "nobody sent anything"
    assert (environment.gave_up_after_s is not None) == gives_up
    environment.proxy.heal()
    environment.close(keep_files=False)


class Client:
    """A producer that takes every record, and acknowledges all but the last."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.config, self.sent, self.left = _config, [], 0
        self.polls = 0

    def produce(self, _topic: str, value: bytes, _key: None, partition: int, on_delivery: Any) -> None:
        self.sent.append((value, partition, on_delivery))

    def poll(self, _timeout_s: float) -> None:
        self.polls += 1
        for offset, (value, partition, delivered) in enumerate(self.sent[:-1]):
            delivered(None, Message(value, partition, offset))
        if self.sent:
            self.sent[-1][2]("refused", None)
        if self.polls == 3:
            self.config["error_cb"](Error())
            Path(self.config["over"]).touch()

    def flush(self, _limit_s: float) -> int:
        return self.left


class Message:
    def __init__(self, value: bytes, partition: int, offset: int) -> None:
        self.facts = value, partition, offset

    def value(self) -> bytes:
        return self.facts[0]

    def partition(self) -> int:
        return self.facts[1]

    def offset(self) -> int:
        return self.facts[2]


class Error:
    def str(self) -> str:
        return "all brokers are down"


@pytest.mark.parametrize("left", [0, 2])
def test_the_producer_writes_down_attempts_before_and_acknowledgements_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """What is not acknowledged in the end is an error of its own."""

    def client(config: dict[str, Any]) -> Client:
        made = Client({**config, "over": tmp_path / OVER})
        made.left = left
        return made

    clock = count()
    monkeypatch.setattr(confluent_producer, "time", SimpleNamespace(monotonic=lambda: next(clock) / 100))
    monkeypatch.setattr(confluent_producer, "Producer", client)
    order = confluent_producer.Order("unused", "t", 2, 2_000, str(tmp_path))
    with (tmp_path / ATTEMPTED).open("w") as attempts, (tmp_path / ACKNOWLEDGED).open("w") as acknowledgements:
        producer = SteadyProducer(order, attempts, acknowledgements)
        if left:
            with pytest.raises(Unavailable, match="2 records were not acknowledged"):
                producer.run()
        else:
            producer.run()
    attempted, word = confluent_producer.attempted(tmp_path), confluent_producer.acknowledged(tmp_path)
    assert (len(word), attempted) == (59, 60)
    assert all(partition == number % 2 for number, (partition, _) in word.items())
    assert [event["event"] for event in Journal(tmp_path / JOURNAL).events()] == ["lost the broker"]
