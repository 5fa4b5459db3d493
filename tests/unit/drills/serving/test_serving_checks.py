"""Each check of the serving drills can fail, for its own reason: evidence is spoilt piece by piece."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.aiohttp_load import Answer, share
from koboshi.drills.serving import load_environment
from koboshi.drills.serving.load_environment import (
    all_answered,
    all_right,
    champion_is_served,
    gateway_has_all_replicas,
)
from koboshi.drills.serving.replica_environment import share_is_back, victim_fell_silent
from koboshi.gateways.gateway import ReplicaSeen

REPLICAS = ("replica-1", "replica-2", "replica-3")
INJECTION = Injection("SIGKILL", "replica-2", at_s=10.0, at_monotonic=0.0, took=True, pid=7)


def _answers() -> list[Answer]:
    """Sixty a second for twenty seconds, in turn; replica-2 says nothing between 10 and 15 s."""
    alive = [name for n in range(1200) for name in [REPLICAS[n % 3]]]
    answers = []
    for n, name in enumerate(alive):
        due = n / 60
        served_by = "replica-1" if name == "replica-2" and 10 < due < 15 else name
        answers.append(Answer(due, 0.004, 200, right=True, replica=served_by, version="3", rows=1))
    return answers


@dataclasses.dataclass
class Environment:
    """What the checks look at."""

    answers: list[Answer] = dataclasses.field(default_factory=_answers)
    replicas: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(REPLICAS, 1))
    victim: str = "replica-2"
    version: str = "3"
    fair_share: float = 1 / 3
    settings: Any = dataclasses.field(default_factory=lambda: SimpleNamespace(serving=SimpleNamespace(slot="champion")))
    champion: int | None = 3

    def registry(self) -> Any:
        return SimpleNamespace(aliased=lambda _slot: self.champion)

    @property
    def final_share(self) -> float:
        return share(self.answers[-300:], self.victim)


VERDICT = (victim_fell_silent, all_answered, all_right, share_is_back)


def _failing(environment: Environment, injection: Injection = INJECTION) -> dict[str, str]:
    findings: list[Finding] = [check(environment, [injection]) for check in VERDICT]  # type: ignore[arg-type]
    return {finding.check: finding.said for finding in findings if not finding.holds}


def _changed(environment: Environment, which: Callable[[Answer], bool], **changes: Any) -> Environment:
    environment.answers = [dataclasses.replace(a, **changes) if which(a) else a for a in environment.answers]
    return environment


def test_good_evidence_holds() -> None:
    assert _failing(Environment()) == {}


def test_one_request_that_failed() -> None:
    """It is counted, and told with the words of whoever answered."""
    environment = _changed(Environment(), lambda a: a.due_s == 11.0, status=503, right=False, said="reset")
    assert _failing(environment) == {"all_answered": "1 of 1,200 requests failed (1 x 503: reset)"}


def test_one_wrong_prediction() -> None:
    """Also with the header of a version that should not answer at all."""
    environment = _changed(Environment(), lambda a: a.due_s == 11.0, right=False, version="4")
    assert _failing(environment) == {"all_right": "1 of 1,200 predictions are wrong (versions 4)"}


def test_no_prediction_at_all_is_not_right() -> None:
    failing = _failing(_changed(Environment(), lambda _: True, status=500, right=False))
    assert set(failing) == {"victim_fell_silent", "all_answered", "all_right"}


def test_a_replica_that_went_on_answering_got_no_fault() -> None:
    """The signal went elsewhere: the load does not show it."""
    environment = Environment()
    environment.answers = [dataclasses.replace(a, replica=REPLICAS[n % 3]) for n, a in enumerate(environment.answers)]
    assert set(_failing(environment)) == {"victim_fell_silent"}


def test_a_silence_at_another_time_is_not_that_of_the_injection() -> None:
    assert set(_failing(Environment(), dataclasses.replace(INJECTION, at_s=5.0))) == {"victim_fell_silent"}


def test_a_signal_that_did_not_take() -> None:
    assert set(_failing(Environment(), dataclasses.replace(INJECTION, took=False))) == {"victim_fell_silent"}


def test_a_replica_that_never_comes_back_takes_no_share() -> None:
    environment = _changed(Environment(), lambda a: a.due_s > 10, replica="replica-1")
    failing = _failing(environment)
    assert failing["share_is_back"] == "replica-2 gave 0% of the last 500 answers (an even share is 33%)"


def test_without_replicas_there_is_nothing_to_inject() -> None:
    """A sentence for a person, not a crash."""
    finding = champion_is_served(Environment(replicas={}))  # type: ignore[arg-type]
    assert (finding.holds, "koboshi up" in finding.said) == (False, True)


@pytest.mark.parametrize(
    ("champion", "versions", "holds", "word"),
    [
        (3, (3, 3, 3), True, "version 3"),
        (3, (3, 2, 3), False, "version 2"),
        (4, (3, 3, 3), False, "version 4 is champion"),
        (None, (None, None, None), False, "nothing has been promoted"),
    ],
)
def test_the_champion_has_to_be_served_by_all(
    champion: int | None, versions: tuple[int | None, ...], holds: bool, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(replicas=dict(zip(REPLICAS, range(3), strict=True)), champion=champion)
    monkeypatch.setattr(load_environment, "call", lambda url: {"version": versions[int(url[17])]})
    finding = champion_is_served(environment)  # type: ignore[arg-type]
    assert (finding.holds, word in finding.said) == (holds, True)


@pytest.mark.parametrize(("healthy", "holds"), [((True, True, True), True), ((True, False, True), False)])
def test_the_gateway_has_to_have_them_all(
    healthy: tuple[bool, ...], holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gateway:
        def hosts(self) -> dict[int, ReplicaSeen]:
            return {port: ReplicaSeen(well, 0) for port, well in enumerate(healthy)}

    monkeypatch.setattr(load_environment, "stack_gateway", lambda *_: Gateway())
    monkeypatch.setattr(load_environment, "IN_S", 0.01)
    environment = Environment(settings=SimpleNamespace(state_dir=None))
    assert gateway_has_all_replicas(environment).holds is holds  # type: ignore[arg-type]
