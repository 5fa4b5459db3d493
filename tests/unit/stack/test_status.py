"""`koboshi status` shows the last probe of each part, and asks only where nobody did."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack import probe_records, status
from koboshi.stack.part import Part, Start, StartHistory
from koboshi.stack.part_state import HEALTHY, STARTING, STOPPED, UNHEALTHY, PartState, counting
from koboshi.stack.paths import find_paths
from koboshi.stack.probe_records import STALE_S, ProbeRecord

CLOSED = 9
Shown = Callable[..., PartState]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """`shown(started_s_ago=…, record=…)` is MLflow's line; a probe that is really asked says "asked now"."""
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(project=tmp_path)
    own = find_paths(tmp_path, settings.state_dir).own

    def look(
        started_s_ago: float = 1_000.0,
        record: ProbeRecord | None = None,
        ports: tuple[int, ...] = (),
        statename: str = "RUNNING",
        **options: Any,
    ) -> PartState:
        part = Part("mlflow", "mlflow", ("true",), {}, tmp_path, tmp_path / "log", ports)
        StartHistory.of(own, "mlflow").add(Start(time.time() - started_s_ago, 2**22 + 1, 1))
        if record:
            probe_records.write(own, {"mlflow": record})
        asked = {"mlflow": lambda: Health(True, "asked now")}
        monkeypatch.setattr(status, "process_infos", lambda _: {"mlflow": {"statename": statename}})
        monkeypatch.setattr(status, "known_parts", lambda _: {"mlflow": part})
        monkeypatch.setattr(status, "probes", lambda *_, **__: dict(asked))
        (found,) = status.status(settings, settings, **options)
        return found

    return look


def answered(s_ago: float, *, ok: bool = True) -> ProbeRecord:
    at = time.time() - s_ago
    return ProbeRecord(ok, "a run written" if ok else "no run", at, 0.0, "work", at)


def test_the_last_answer_is_shown_with_its_time(shown: Shown) -> None:
    record = answered(20)
    state = shown(record=record)
    assert (state.state, state.detail, state.probed_at) == (HEALTHY, "a run written", record.at)
    ill = shown(record=answered(3, ok=False))
    assert (ill.state, ill.detail) == (UNHEALTHY, "no run")


def test_asked_anew_it_says_what_is_now_and_leaves_that_for_the_next(shown: Shown) -> None:
    state = shown(record=answered(20, ok=False), probe=True)
    assert (state.state, state.detail, state.probed_at) == (HEALTHY, "asked now", None)
    assert shown().detail == "asked now"


def test_an_answer_of_before_the_start_does_not_count(shown: Shown) -> None:
    """The part that was killed a moment ago is on its way, whatever the process before it did."""
    assert shown(started_s_ago=5, record=answered(20)).state == STARTING
    assert shown(started_s_ago=5, record=answered(2, ok=False)).state == STARTING
    assert counting(Health(True, "", at=5.0), 6.0) is None
    assert counting(Health(True, "", at=6.0), 6.0) is not None
    assert counting(Health(True, ""), 6.0) == Health(True, "")


def test_a_port_that_is_closed_now_is_said_whatever_the_last_answer_was(shown: Shown) -> None:
    state = shown(record=answered(20), ports=(CLOSED,))
    assert (state.state, state.detail) == (UNHEALTHY, f"port {CLOSED} is not open yet")


def test_where_nobody_asks_status_does(shown: Shown) -> None:
    """A stack of an earlier version has no prober; one that hangs or was killed is none either."""
    assert shown().detail == "asked now"
    assert shown(record=answered(STALE_S + 5)).detail == "asked now"
    assert shown(started_s_ago=1).state == STARTING


def test_a_part_that_was_stopped_says_how_it_comes_back(shown: Shown) -> None:
    state = shown(record=answered(20), statename="STOPPED")
    assert (state.state, state.detail) == (STOPPED, "not running: `koboshi up` starts it")
