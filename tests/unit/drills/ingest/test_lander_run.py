"""The drill's lander lands as any does, tells of it, pauses where it is told to, and tries again what may be tried."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.ingest import lander_run
from koboshi.drills.ingest.lander_run import Order, PausingLedger, land, lander_of, named_by_the_ledger
from koboshi.errors import Corrupt, Unavailable
from koboshi.formats.records import Records
from koboshi.ledger import spans
from koboshi.refs import SpanRange
from tests.support.memory_stream import MemoryStream


class Stream(MemoryStream):
    """Fails as often as the test wants, then works."""

    def __init__(self) -> None:
        super().__init__()
        self.make("t", 25, 7)
        self.failures: list[Exception] = []
        self.over: Path | None = None

    def read(self, span: SpanRange) -> Iterator[Records]:
        if self.failures:
            raise self.failures.pop()
        yield from super().read(span)
        if self.over:
            self.over.touch()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream()
    monkeypatch.setattr(lander_run, "TellingSource", lambda *_: stream)
    monkeypatch.setattr(lander_run, "PAUSE_S", 0.01)
    return stream


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order("unused", "t", str(tmp_path), span_records=10)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int]]:
    """How many files and how many rows there were at each pause."""
    seen: list[tuple[int, int]] = []

    def stop() -> None:
        files = list((tmp_path / "spans" / "t").glob("*/*.parquet"))
        seen.append((len(files), len(named_by_the_ledger(tmp_path, "t"))))

    monkeypatch.setattr(lander_run, "stop_myself", stop)
    return seen


def told(order: Order) -> list[str]:
    return [event["event"] for event in order.told.events()]


def test_all_is_landed_and_told(stream: Stream, order: Order) -> None:
    land(order)
    assert told(order) == ["landed"] * 4
    assert len(named_by_the_ledger(Path(order.state_dir), "t")) == 4


@pytest.mark.parametrize(("pause", "seen"), [("renamed", (1, 0)), ("committed", (1, 1)), ("", None)])
def test_it_pauses_once_at_the_moment_that_it_was_told(
    stream: Stream, order: Order, pauses: list[tuple[int, int]], pause: Any, seen: tuple[int, int] | None
) -> None:
    """A file and no row, a file and its row; and then it goes on to the end."""
    land(dataclasses.replace(order, pause=pause))
    assert pauses == ([seen] if seen else [])
    assert len(named_by_the_ledger(Path(order.state_dir), "t")) == 4


def test_a_pausing_ledger_is_a_ledger(stream: Stream, order: Order, pauses: list[tuple[int, int]]) -> None:
    lander = lander_of(dataclasses.replace(order, pause="renamed"), stream)  # type: ignore[arg-type]
    assert isinstance(lander.ledger, PausingLedger)
    assert spans.planned(lander.ledger, "t") == []
    assert pauses == []


def test_who_follows_tries_again_until_it_is_told_to_end(stream: Stream, order: Order, tmp_path: Path) -> None:
    stream.failures, stream.over = [Unavailable("it is silent"), Unavailable("it is silent")], tmp_path / "over"
    land(dataclasses.replace(order, until=str(stream.over)))
    assert told(order)[:2] == ["again", "again"]
    assert len(named_by_the_ledger(tmp_path, "t")) == 4


def test_who_lands_once_fails_as_the_verb_does(stream: Stream, order: Order) -> None:
    stream.failures = [Unavailable("it is silent")]
    with pytest.raises(Unavailable):
        land(order)


def test_what_cannot_be_tried_again_ends_who_follows(stream: Stream, order: Order, tmp_path: Path) -> None:
    stream.failures = [Corrupt("rotten")]
    with pytest.raises(Corrupt):
        land(dataclasses.replace(order, until=str(tmp_path / "over")))
