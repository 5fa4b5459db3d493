"""Each check of the drill that cuts the network of a training can fail, and says what is wrong."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.training import training_checks
from koboshi.drills.training.network_cut_training import (
    LONGEST_SILENT_S,
    SILENT_S,
    node_did_its_part,
    nothing_was_lost_or_doubled,
    silence_was_noticed,
    stays_silent,
)
from koboshi.drills.training.training_checks import one_job
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Actor, Job, Task
from koboshi.training.on_ray import step_name
from tests.support.trainings import chain_spec

INJECTION = Injection(
    "network cut", "node and head", at_s=100.0, at_monotonic=1.0, took=True, detail="7 bytes swallowed"
)
THERE = Actor("A1", "01", "koboshi-x-1", 11, "DEAD", ENDED_BY_POOL, "n1")
ELSEWHERE = dataclasses.replace(THERE, id="A2", node="n2")
DONE = [Task(step_name("a", step), "FINISHED", "A1", 0, 1) for step in (1, 2)]


class Environment:
    node_id, folder, swallowed, silent_s = "n1", Path("folder"), (17, 261), 20.0

    def __init__(self, folder: Path) -> None:
        self.spec, self.ray = chain_spec(folder, steps={"a": 2}), self
        self.told_actors, self.told_tasks = [THERE, ELSEWHERE], list(DONE)
        self.told_jobs = [Job("key-1", "SUCCEEDED", 1, 2)]
        self.noticed: float | None = 104.5
        self.missing: list[str] = []
        self.again: list[str] = []

    def actors(self) -> list[Actor]:
        return self.told_actors

    def tasks(self, _actors: object) -> list[Task]:
        return self.told_tasks

    def jobs(self, _folder: Path) -> list[Job]:
        return self.told_jobs

    def noticed_s(self, _injections: object) -> float | None:
        return self.noticed

    def done_while_silent(self, _injections: object) -> int:
        return 3

    def missing_steps(self) -> list[str]:
        return self.missing

    def done_again(self, _injections: object) -> list[str]:
        return self.again


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(training_checks, "TOLD_WITHIN_S", 0.0)
    return Environment(tmp_path)


def test_all_checks_hold_on_good_evidence(environment: Any) -> None:
    for check in (silence_was_noticed, node_did_its_part, one_job, nothing_was_lost_or_doubled):
        assert check(environment, [INJECTION, INJECTION]).holds, check(environment, [INJECTION, INJECTION]).said
    assert "the follower noticed after 4.5 s" in silence_was_noticed(environment, [INJECTION, INJECTION]).said


def test_the_network_is_healed_when_the_follower_has_noticed_and_not_by_the_clock_alone() -> None:
    """On a busy machine the follower needs longer than the silence lasts elsewhere; the wait is bounded."""
    assert stays_silent(SILENT_S - 1, noticed=True)
    assert not stays_silent(SILENT_S, noticed=True)
    assert stays_silent(SILENT_S + 5, noticed=False)
    assert not stays_silent(LONGEST_SILENT_S, noticed=False)


def test_silence_was_noticed_fails(environment: Any) -> None:
    assert not silence_was_noticed(environment, [INJECTION, dataclasses.replace(INJECTION, took=False)]).holds
    environment.noticed = None
    assert "noticed never" in silence_was_noticed(environment, [INJECTION, INJECTION]).said
    assert not silence_was_noticed(environment, [INJECTION, INJECTION]).holds


def test_node_did_its_part_fails(environment: Any) -> None:
    environment.told_actors = [THERE, dataclasses.replace(ELSEWHERE, death="its worker process has died")]
    assert "workers died: koboshi-x-1" in node_did_its_part(environment, [INJECTION]).said
    assert not node_did_its_part(environment, [INJECTION]).holds
    environment.told_actors = [ELSEWHERE]
    assert not node_did_its_part(environment, [INJECTION]).holds


@pytest.mark.parametrize("states", [[], ["FAILED"], ["SUCCEEDED", "SUCCEEDED"]], ids=str)
def test_one_job_fails(environment: Any, states: list[str]) -> None:
    environment.told_jobs = [Job("key-1", state, 1, 2) for state in states]
    assert not one_job(environment, [INJECTION]).holds


@pytest.mark.parametrize(
    ("tasks", "missing", "again", "said"),
    [
        (DONE[1:], [], [], "a/step-1 ended well 0 times"),
        ([*DONE, DONE[0]], [], [], "a/step-1 ended well 2 times"),
        (DONE, ["a/step-2"], [], "a/step-2 is nowhere"),
        (DONE, [], ["a/step-1"], "a/step-1 was done again"),
    ],
    ids=["lost", "doubled", "no file", "two files"],
)
def test_nothing_was_lost_or_doubled_fails(
    environment: Any, tasks: list[Task], missing: list[str], again: list[str], said: str
) -> None:
    environment.told_tasks, environment.missing, environment.again = tasks, missing, again
    found = nothing_was_lost_or_doubled(environment, [INJECTION])
    assert not found.holds
    assert said in found.said
