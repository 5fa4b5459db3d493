"""Each check of the training drill can fail, and says what is wrong: evidence is taken away piece by piece."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.training import training_checks, witnesses
from koboshi.drills.training.training_checks import (
    killed_once,
    predictions_equal_the_control,
    ray_has_nodes,
    ray_is_idle,
    went_on_from_the_committed_step,
)
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Actor, RayWitness, Task
from koboshi.errors import Unavailable
from koboshi.training.on_ray import step_name
from tests.support.trainings import chain_spec

INJECTION = Injection("SIGKILL", "ray::a", at_s=100.0, at_monotonic=1.0, took=True, pid=11)
KILLED = Actor("A1", "01", "koboshi-x-1", 11, "DEAD", "its worker process has died")
ENDED = Actor("A2", "01", "koboshi-x-2", 12, "DEAD", ENDED_BY_POOL)
LOST = Task(step_name("a", 2), "FAILED", "A1", created_ms=99_000, ended_ms=100_050)


class Told:
    """A cluster that tells what the test wants it to tell."""

    def __init__(self, actors: Sequence[Actor], tasks: Sequence[Task] = (), nodes: int = 2) -> None:
        self.told_actors, self.told_tasks, self.told_nodes = list(actors), list(tasks), nodes

    def actors(self, prefix: str = "") -> list[Actor]:
        return [actor for actor in self.told_actors if actor.name.startswith(prefix)]

    def tasks(self, _actors: list[Actor]) -> list[Task]:
        return self.told_tasks

    def nodes(self) -> int:
        return self.told_nodes


class Environment:
    """What the checks look at."""

    victim, step, units = "a", 2, ("a", "b")

    def __init__(self, folder: Path, ray: Told) -> None:
        self.spec, self.ray = chain_spec(folder, steps={"a": 3, "a.control": 3, "b": 3, "b.control": 3}), ray
        self.models = {name: np.array([0.25, 0.5]) for name in self.spec.units}

    def actors(self) -> list[Actor]:
        return self.ray.actors("koboshi-x-")

    def predictions(self, unit: str) -> Any:
        return self.models[unit]


def all_done() -> list[Task]:
    return [
        Task(step_name(unit, step), "FINISHED", "A2", 0, 1)
        for unit in ("a", "a.control", "b", "b.control")
        for step in (1, 2, 3)
    ]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(training_checks, "TOLD_WITHIN_S", 0.0)
    return Environment(tmp_path, Told([KILLED, ENDED], [*all_done(), LOST]))


def test_all_checks_hold_on_good_evidence(environment: Any) -> None:
    for check in (killed_once, went_on_from_the_committed_step, predictions_equal_the_control):
        assert check(environment, [INJECTION]).holds, check(environment, [INJECTION]).said


@pytest.mark.parametrize(
    ("actors", "injection"),
    [
        ([ENDED], INJECTION),
        ([KILLED, dataclasses.replace(KILLED, id="A3", pid=13)], INJECTION),
        ([dataclasses.replace(KILLED, pid=13)], INJECTION),
        ([dataclasses.replace(KILLED, state="ALIVE")], INJECTION),
        ([KILLED, ENDED], dataclasses.replace(INJECTION, took=False)),
    ],
    ids=["nobody died", "two died", "another one died", "it lives", "its process is still there"],
)
def test_killed_once_fails(environment: Any, actors: list[Actor], injection: Injection) -> None:
    environment.ray.told_actors = actors
    assert not killed_once(environment, [injection]).holds


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([*all_done()], "no step"),
        ([*all_done()[1:], LOST], "a/step-1 ended well 0 times"),
        ([*all_done(), all_done()[0], LOST], "a/step-1 ended well 2 times"),
        ([*all_done(), LOST, dataclasses.replace(LOST, name=step_name("b", 1))], "b/step-1"),
        ([*all_done(), dataclasses.replace(LOST, name=step_name("a", 1))], "a/step-1"),
        ([*all_done(), dataclasses.replace(LOST, created_ms=100_010)], "not UnitWorker.a/step-2 alone"),
        ([*all_done(), dataclasses.replace(LOST, ended_ms=99_900)], "not UnitWorker.a/step-2 alone"),
    ],
    ids=["nothing lost", "one missing", "one done twice", "two lost", "another lost", "began later", "ended sooner"],
)
def test_went_on_from_the_committed_step_fails(environment: Any, tasks: list[Task], said: str) -> None:
    environment.ray.told_tasks = tasks
    found = went_on_from_the_committed_step(environment, [INJECTION])
    assert not found.holds
    assert said in found.said


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (np.array([0.25, np.nextafter(0.5, 1)]), "b: predictions differ from the undisturbed control's in 1 of 2 rows"),
        (np.array([0.25]), "b: 1 predictions, the control has 2"),
    ],
    ids=["one bit", "one row less"],
)
def test_predictions_equal_the_control_fails(environment: Any, ours: Any, said: str) -> None:
    """The last bit of one prediction of one candidate is enough."""
    environment.models["b"] = ours
    found = predictions_equal_the_control(environment, [INJECTION])
    assert (found.holds, found.said) == (False, said)


def test_no_predictions_at_all_prove_nothing(environment: Any) -> None:
    environment.models = dict.fromkeys(environment.models, np.array([]))
    assert not predictions_equal_the_control(environment, [INJECTION]).holds


def test_the_steady_state(environment: Any) -> None:
    assert ray_has_nodes(environment).holds
    assert ray_is_idle(environment).holds
    environment.ray.told_nodes, environment.ray.told_actors = 0, [dataclasses.replace(KILLED, state="ALIVE")]
    assert not ray_has_nodes(environment).holds
    assert not ray_is_idle(environment).holds
    assert "koboshi-x-1" in ray_is_idle(environment).said


def test_a_witness_that_cannot_be_asked_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="koboshi status"):
        RayWitness("http://127.0.0.1:9", None).nodes()

    def empty(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b'{"data": {"result": null}}', request=request)

    monkeypatch.setattr(witnesses, "client", lambda _url, **_: httpx.Client(transport=httpx.MockTransport(empty)))
    with pytest.raises(Unavailable, match="does not tell its actors"):
        RayWitness("http://127.0.0.1:9", None).actors()
