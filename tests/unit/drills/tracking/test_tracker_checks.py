"""Each check of the drill that kills MLflow can fail, and says what is wrong."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Finding, Injection, of
from koboshi.drills.kit import faults
from koboshi.drills.kit.aiohttp_load import Answer
from koboshi.drills.serving import load_environment
from koboshi.drills.tracking import tracker_killed
from koboshi.drills.tracking.tracker_killed import (
    DRILL,
    all_answered,
    every_metric_is_there,
    it_waited_in_the_outbox,
    mlflow_is_ours_and_well,
    one_run_each_and_no_ghost,
    tracker_died_twice,
)
from koboshi.drills.tracking.tracker_witness import TrackedRun
from koboshi.events import StepDone
from koboshi.probes import Health
from tests.support.trainings import chain_spec

FIRST = Injection("SIGKILL", "mlflow", at_s=100.0, at_monotonic=1.0, took=True, pid=11)
INJECTIONS = [FIRST, dataclasses.replace(FIRST, pid=12)]
READY = "LOGGED_MODEL_READY"
VALUES = {"auc": [0.50001, 0.75009], "loss": [1.25, 1.0]}
DONE = [
    StepDone(
        unit="a", step=at + 1, total=2, metrics={name: VALUES[name][at] for name in VALUES}, seconds=0.1, worker="w"
    )
    for at in range(2)
]


class Environment:
    units, uri, settings = ("a",), "http://127.0.0.1:1", SimpleNamespace(serving=SimpleNamespace(slot="champion"))
    replicas, version, answers = (
        {"replica-1": 1, "replica-2": 2},
        "3",
        (Answer(1.0, 0.1, 200, right=True, version="3"),),
    )

    def __init__(self, folder: Path) -> None:
        self.spec = chain_spec(folder, steps={"a": 2})
        key = self.spec.key
        self.told_runs = [
            TrackedRun("r1", "FINISHED", key, "", "", ()),
            TrackedRun("r2", "FINISHED", key, "a", "r1", ("auc",)),
        ]
        self.told_models = [("r2", READY)]
        self.values = {"auc": [(1, 0.50001), (2, 0.75009)], "loss": [(1, 1.25), (2, 1.0)]}
        self.done = list(DONE)
        self.refusals, self.while_down = [1.0], 200
        self.downs, self.trained_s, self.waited, self.left = [(100.0, 120.0), (130.0, 140.0)], 110.0, [1], 0
        self.witness = self.serving = self

    def happened(self, _kind: type[StepDone]) -> list[StepDone]:
        return self.done

    def registry(self) -> Any:
        return SimpleNamespace(aliased=lambda _slot: 3)

    def runs(self) -> list[TrackedRun]:
        return self.told_runs

    def models(self) -> list[tuple[str, str]]:
        return self.told_models

    def history(self, _run: TrackedRun, metric: str) -> list[tuple[int, float]]:
        return self.values[metric]

    def waiting(self) -> int:
        return self.left

    def answered_while_down(self) -> int:
        return self.while_down


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(load_environment, "all_answered", lambda *_: Finding("all_answered", True, "well"))
    monkeypatch.setattr(load_environment, "call", lambda _: {"version": 3})
    return Environment(tmp_path)


def test_all_checks_hold_on_good_evidence(environment: Any) -> None:
    for check in DRILL.verdict:
        assert check(environment, INJECTIONS).holds, check(environment, INJECTIONS).said
    assert of("serving", load_environment.champion_is_served)(environment).holds


def test_tracker_died_twice_fails(environment: Any) -> None:
    assert not tracker_died_twice(environment, [FIRST, FIRST]).holds
    assert not tracker_died_twice(environment, [FIRST, dataclasses.replace(INJECTIONS[1], took=False)]).holds


def test_all_answered_fails_without_answers_while_it_was_away(
    environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.while_down = 3
    assert not all_answered(environment, INJECTIONS).holds
    environment.while_down = 200
    monkeypatch.setattr(load_environment, "all_answered", lambda *_: Finding("all_answered", False, "one failed"))
    assert not all_answered(environment, INJECTIONS).holds


@pytest.mark.parametrize(
    "changed",
    [{"trained_s": 121.0}, {"trained_s": 0.0}, {"waited": [0]}, {"waited": []}, {"left": 1}, {"downs": []}],
    ids=str,
)
def test_it_waited_in_the_outbox_fails(environment: Any, changed: dict[str, Any]) -> None:
    vars(environment).update(changed)
    assert not it_waited_in_the_outbox(environment, INJECTIONS).holds


def ghost(environment: Any, **changed: Any) -> list[TrackedRun]:
    return [*environment.told_runs, dataclasses.replace(environment.told_runs[1], id="r3", **changed)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unit": ""}, "2 parent runs for one training"),
        ({}, "2 runs of a"),
        ({"unit": "nobody's"}, "1 runs that belong to nothing"),
        ({"unit": "", "status": "RUNNING"}, "not finished: the parent"),
    ],
    ids=["two parents", "two children", "a stranger", "half a parent"],
)
def test_a_ghost_is_named(environment: Any, changed: dict[str, Any], said: str) -> None:
    environment.told_runs = ghost(environment, **changed)
    found = one_run_each_and_no_ghost(environment, INJECTIONS)
    assert not found.holds
    assert said in found.said


@pytest.mark.parametrize("models", [[], [("r2", "LOGGED_MODEL_PENDING")], [("r2", READY), ("r2", READY)]], ids=str)
def test_one_ready_model_each(environment: Any, models: list[tuple[str, str]]) -> None:
    environment.told_models = models
    assert "models: " in one_run_each_and_no_ghost(environment, INJECTIONS).said


@pytest.mark.parametrize(
    ("auc", "said"),
    [
        ([(1, 0.50001)], "auc of a has 1 values, the job told 2"),
        ([(1, 0.50001), (2, 0.75009), (2, 0.75009)], "auc of a has 3 values"),
        ([(1, 0.50001), (2, 0.7501)], "auc of a has 2 values"),
    ],
    ids=["one is missing", "one is there twice", "one differs"],
)
def test_every_metric_is_there_fails(environment: Any, auc: list[tuple[int, float]], said: str) -> None:
    environment.values["auc"] = auc
    found = every_metric_is_there(environment, INJECTIONS)
    assert not found.holds
    assert said in found.said


def test_a_journal_that_tells_of_nothing_proves_nothing(environment: Any) -> None:
    environment.done = environment.done[:1]
    assert "does not tell of every step of a" in every_metric_is_there(environment, INJECTIONS).said
    environment.done, environment.told_runs = [], []
    assert "no finished run has a metric" in every_metric_is_there(environment, INJECTIONS).said


def test_the_steady_state(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "is_ours", lambda *_: True)
    monkeypatch.setattr(tracker_killed, "probe_mlflow", lambda _: Health(True, "fine"))
    assert mlflow_is_ours_and_well(environment).holds
    monkeypatch.setattr(faults, "is_ours", lambda *_: False)
    assert "koboshi up" in mlflow_is_ours_and_well(environment).said
