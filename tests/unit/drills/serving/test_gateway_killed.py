"""The drill that kills the gateway, without a gateway: clients that ask again, and checks that can fail."""

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.kit.aiohttp_load import Answer, Load, Questions
from koboshi.drills.serving import gateway_killed
from koboshi.drills.serving.gateway_killed import GatewayEnvironment, RetryingLoad, endpoint_is_back, gateway_was_away
from koboshi.settings import load_settings

INJECTION = Injection("SIGKILL", "the gateway", at_s=10.0, at_monotonic=1.0, took=True, pid=7)


def answers() -> list[Answer]:
    """Ten a second; those that were due from 10 to 13 s were answered at 13 s."""
    dues = [number / 10 for number in range(200)]
    return [
        Answer(due, max(0.01, 13 - due) if 10 < due < 13 else 0.01, 200, right=True, replica="replica-1", rows=1)
        for due in dues
    ]


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    (tmp_path / "koboshi.toml").write_text("")
    environment: Any = GatewayEnvironment(load_settings(tmp_path), lambda _: None, requests=60)
    environment._load = SimpleNamespace(answers=answers(), refused=[10.1, 11.0, 12.9], stop=lambda: None)
    environment._gateway = SimpleNamespace(pids=lambda: [9], close=lambda: None)
    environment.killed = (7, 8)
    return environment


def test_both_checks_hold_on_good_evidence(environment: Any) -> None:
    assert gateway_was_away(environment, [INJECTION]).said == "process 7 is gone; 3 tries came to nothing"
    assert (
        endpoint_is_back(environment, [INJECTION]).said
        == "process 9 answered 3.0 s after the injection, of at most 30 s"
    )
    assert gateway_was_away(environment, [INJECTION]).holds
    assert endpoint_is_back(environment, [INJECTION]).holds


def test_the_outage_is_measured_as_the_clients_saw_it(environment: Any) -> None:
    evidence = environment.evidence([INJECTION])
    assert evidence.measures["detected_after_s"] == pytest.approx(0.1)
    assert evidence.measures["recovered_after_s"] == pytest.approx(3.0)
    assert (evidence.measures["redone"], evidence.measures["lost"]) == (3, 0)
    assert [event.kind for event in evidence.events] == ["suspicion", "recovery"]


def test_a_gateway_that_nobody_missed_was_not_away(environment: Any) -> None:
    assert not gateway_was_away(environment, [dataclasses.replace(INJECTION, took=False)]).holds
    environment._load.refused.clear()
    assert not gateway_was_away(environment, [INJECTION]).holds
    assert "detected_after_s" not in environment.evidence([INJECTION]).measures


@pytest.mark.parametrize("pids", [[], [8]], ids=["none", "one that was to be killed"])
def test_an_endpoint_without_a_new_process_is_not_back(environment: Any, pids: list[int]) -> None:
    environment._gateway.pids = lambda: pids
    assert not endpoint_is_back(environment, [INJECTION]).holds


def test_an_endpoint_that_is_back_too_late_or_never_is_not_back(environment: Any) -> None:
    assert not endpoint_is_back(environment, [dataclasses.replace(INJECTION, at_s=-20.0)]).holds
    environment._load.refused.append(99.0)
    assert not endpoint_is_back(environment, [INJECTION]).holds


def test_a_load_that_does_not_come_back_ends_after_a_bounded_time(environment: Any) -> None:
    found = environment.finish(0.1)
    assert (found.holds, found.said) == (False, "0 predictions came after the injection, of at least 60")


def test_of_clients_that_ask_once_the_lost_requests_tell(environment: Any) -> None:
    environment._load = SimpleNamespace(answers=[Answer(11.0, 0.5, 0, right=False), *answers()], stop=lambda: None)
    assert environment.refused == [11.5]


class Session:
    """Refuses so often, then answers."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals

    def post(self, _url: str, data: bytes) -> "Session":
        self.said = data
        return self

    async def __aenter__(self) -> "Session":
        self.left -= 1
        if self.left >= 0:
            raise aiohttp.ServerDisconnectedError
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to close."""

    async def text(self) -> str:
        return self.said.decode()


def test_a_client_that_asks_again_is_answered_once_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_killed, "AGAIN_AFTER_S", 0.0)
    load = RetryingLoad("http://127.0.0.1:1", Questions([b"q"], {}), 1)
    session: Any = Session(refusals=3)
    assert asyncio.run(load.post(session, b"q"))[1] == "q"
    assert len(load.refused) == 3


def test_its_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_killed, "PATIENCE_S", 0.0)
    session: Any = Session(refusals=3)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        asyncio.run(RetryingLoad("http://127.0.0.1:1", Questions([b"q"], {}), 1).post(session, b"q"))


def test_the_plain_client_asks_once() -> None:
    session: Any = Session(refusals=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        asyncio.run(Load("http://127.0.0.1:1", Questions([b"q"], {}), 1).post(session, b"q"))
