"""Each check of the drills that inject faults into Ray's own processes can fail, and says what is wrong."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.training import training_checks
from koboshi.drills.training.ray_head_killed import (
    cluster_began_anew,
    next_attempt_ended_it,
    no_committed_step_was_done_again,
)
from koboshi.drills.training.ray_node_killed import node_is_back, only_its_workers_died, went_on_elsewhere
from koboshi.drills.training.training_checks import ray_has_two_nodes_of_ours
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Actor, Job, Node, Task
from koboshi.training.on_ray import step_name
from tests.support.trainings import chain_spec

INJECTION = Injection("SIGKILL", "ray-node-1", at_s=100.0, at_monotonic=1.0, took=True, pid=11)
ONE, TWO, NEW = Node("n1", "ray-node-1"), Node("n2", "ray-node-2"), Node("n3", "ray-node-1")
KILLED = Actor("A1", "01", "koboshi-x-1", 11, "DEAD", "its node has died", "n1")
ENDED = Actor("A2", "01", "koboshi-x-2", 12, "DEAD", ENDED_BY_POOL, "n2")
NEVER_WAS = Actor("A3", "01", "koboshi-x-3", 0, "DEAD", "its node has died", "")
NEARLY_WAS = dataclasses.replace(NEVER_WAS, pid=13)
LOST = Task(step_name("a", 2), "FAILED", "A1", created_ms=99_000, ended_ms=100_050)
DONE = [Task(step_name("a", step), "FINISHED", "A2", 0, 1) for step in (1, 2, 3)]
FIRST_ON_NODE = [dataclasses.replace(DONE[0], actor="A1"), *DONE[1:]]


class Ray:
    def __init__(self) -> None:
        self.told_members: list[Node] = [NEW, TWO]
        self.told_tasks: list[Task] = [*FIRST_ON_NODE, LOST]
        self.told_jobs: list[Job] = []

    def members(self) -> list[Node]:
        return self.told_members

    def tasks(self, _actors: object) -> list[Task]:
        return self.told_tasks

    def jobs(self, _folder: Path) -> list[Job]:
        return self.told_jobs


class Files:
    def reached(self, _at_s: float) -> dict[str, int]:
        return {"a": 2}


class Environment:
    victim, killed, before = "a", ONE, (ONE, TWO)
    settings: Any = None

    def __init__(self, folder: Path) -> None:
        self.spec, self.folder, self.ray, self.files = chain_spec(folder, steps={"a": 3}), folder, Ray(), Files()
        self.told_actors: Sequence[Actor] = [KILLED, ENDED, NEVER_WAS]
        self.missing: list[str] = []
        self.again: list[str] = []

    def actors(self) -> list[Actor]:
        return list(self.told_actors)

    def missing_steps(self) -> list[str]:
        return self.missing

    def done_again(self, _injections: object) -> list[str]:
        return self.again


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(training_checks, "TOLD_WITHIN_S", 0.0)
    monkeypatch.setattr(training_checks, "is_ours", lambda _settings, *parts: "elsewhere" not in parts)
    return Environment(tmp_path)


def test_all_checks_of_a_killed_node_hold_on_good_evidence(environment: Any) -> None:
    for check in (only_its_workers_died, went_on_elsewhere, node_is_back):
        assert check(environment, [INJECTION]).holds, check(environment, [INJECTION]).said


def test_a_worker_that_was_being_started_when_its_node_was_killed_died_nowhere_else(environment: Any) -> None:
    """Ray knows its process already, and will never know its node."""
    environment.told_actors = [KILLED, NEARLY_WAS]
    assert only_its_workers_died(environment, [INJECTION]).holds


@pytest.mark.parametrize(
    ("actors", "injection"),
    [
        ([ENDED], INJECTION),
        ([NEVER_WAS, NEARLY_WAS, ENDED], INJECTION),
        ([KILLED, dataclasses.replace(KILLED, node="n2")], INJECTION),
        ([KILLED], dataclasses.replace(INJECTION, took=False)),
    ],
    ids=["nobody died", "nobody who ever was", "one on another node", "its processes are there"],
)
def test_only_its_workers_died_fails(environment: Any, actors: list[Actor], injection: Injection) -> None:
    environment.told_actors = actors
    assert not only_its_workers_died(environment, [injection]).holds


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (FIRST_ON_NODE, "no step was interrupted by the injection"),
        ([*FIRST_ON_NODE[1:], LOST], "a/step-1 ended well 0 times"),
        ([*FIRST_ON_NODE, FIRST_ON_NODE[0], LOST], "a/step-1 ended well 2 times"),
        ([*FIRST_ON_NODE, LOST, dataclasses.replace(LOST, actor="A2")], "on a node that was not killed"),
        ([DONE[0], dataclasses.replace(DONE[1], actor="A1"), DONE[2], LOST], "on the node that was dead"),
        ([*FIRST_ON_NODE, dataclasses.replace(LOST, created_ms=100_010)], "no step was interrupted"),
    ],
    ids=["nothing lost", "one missing", "one twice", "lost elsewhere", "done again there", "begun later"],
)
def test_went_on_elsewhere_fails(environment: Any, tasks: list[Task], said: str) -> None:
    environment.ray.told_tasks = tasks
    found = went_on_elsewhere(environment, [INJECTION])
    assert not found.holds
    assert said in found.said


@pytest.mark.parametrize("members", [[TWO], [ONE, TWO]], ids=["it is away", "it never went"])
def test_node_is_back_fails(environment: Any, members: list[Node]) -> None:
    environment.ray.told_members = members
    assert not node_is_back(environment, [INJECTION]).holds


def test_all_checks_of_a_killed_head_hold_on_good_evidence(environment: Any) -> None:
    environment.ray.told_members = [NEW, Node("n4", "ray-node-2")]
    environment.ray.told_jobs = [Job(environment.spec.job_name(2), "SUCCEEDED", 1, 2)]
    environment.ray.told_tasks = DONE[1:]
    for check in (cluster_began_anew, next_attempt_ended_it, no_committed_step_was_done_again):
        assert check(environment, [INJECTION]).holds, check(environment, [INJECTION]).said


@pytest.mark.parametrize(
    ("members", "took"),
    [([NEW], True), ([NEW, TWO], True), ([], True), ([NEW, Node("n4", "ray-node-2")], False)],
    ids=["one is away", "one is of the old cluster", "nobody", "the head is still there"],
)
def test_cluster_began_anew_fails(environment: Any, members: list[Node], took: bool) -> None:
    environment.ray.told_members = members
    assert not cluster_began_anew(environment, [dataclasses.replace(INJECTION, took=took)]).holds


@pytest.mark.parametrize(
    "told", [[], [(1, "SUCCEEDED")], [(2, "FAILED")], [(1, "SUCCEEDED"), (2, "SUCCEEDED")]], ids=str
)
def test_next_attempt_ended_it_fails(environment: Any, told: list[tuple[int, str]]) -> None:
    environment.ray.told_jobs = [Job(environment.spec.job_name(number), status, 1, 2) for number, status in told]
    assert not next_attempt_ended_it(environment, [INJECTION]).holds


@pytest.mark.parametrize(
    ("missing", "again", "tasks", "reached", "said"),
    [
        (["a/step-3"], [], DONE[1:], 2, "a/step-3 is nowhere"),
        ([], ["a/step-1"], DONE[1:], 2, "a/step-1 was done again"),
        ([], [], DONE, 2, "a/step-1 was done again"),
        ([], [], DONE, 0, "nothing had been committed"),
    ],
    ids=["one is missing", "the files tell", "Ray tells", "injected too early"],
)
def test_no_committed_step_was_done_again_fails(
    environment: Any, missing: list[str], again: list[str], tasks: list[Task], reached: int, said: str
) -> None:
    environment.missing, environment.again, environment.ray.told_tasks = missing, again, tasks
    environment.files.reached = lambda _at_s: {"a": reached} if reached else {}
    found = no_committed_step_was_done_again(environment, [INJECTION])
    assert not found.holds
    assert said in found.said


def test_the_steady_state(environment: Any) -> None:
    assert ray_has_two_nodes_of_ours(environment).holds
    environment.ray.told_members = [ONE]
    assert not ray_has_two_nodes_of_ours(environment).holds
    environment.ray.told_members = [ONE, Node("n5", "elsewhere")]
    assert "not of this stack" in ray_has_two_nodes_of_ours(environment).said
