"""Each check of the drill that kills MLflow can fail, and says what is wrong."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Finding, Strike, of
from koboshi.drills.kit.aiohttp_load import Answer
from koboshi.drills.serving import load_scene
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
from koboshi.probes import Health
from tests.support.trainings import chain_spec

FIRST = Strike("SIGKILL", "mlflow", at_s=100.0, at_monotonic=1.0, took=True, pid=11)
STRIKES = [FIRST, dataclasses.replace(FIRST, pid=12)]
READY = "LOGGED_MODEL_READY"
LOG = ["a: step 1/2 auc 0.5000 loss 1.2500 (0.1 s, w)", "job began", "a: step 2/2 auc 0.7501 loss 1.0000 (0.1 s, w)"]


class Scene:
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
        self.heard = [(float(at), line) for at, line in enumerate(LOG)]
        self.refusals, self.while_down = [1.0], 200
        self.downs, self.trained_s, self.waited, self.left = [(100.0, 120.0), (130.0, 140.0)], 110.0, [1], 0
        self.witness = self.serving = self

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
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(load_scene, "all_answered", lambda *_: Finding("all_answered", True, "well"))
    monkeypatch.setattr(load_scene, "call", lambda _: {"version": 3})
    return Scene(tmp_path)


def test_all_checks_hold_on_good_evidence(scene: Any) -> None:
    for check in DRILL.verdict:
        assert check(scene, STRIKES).holds, check(scene, STRIKES).said
    assert of("serving", load_scene.champion_is_served)(scene).holds


def test_tracker_died_twice_fails(scene: Any) -> None:
    assert not tracker_died_twice(scene, [FIRST, FIRST]).holds
    assert not tracker_died_twice(scene, [FIRST, dataclasses.replace(STRIKES[1], took=False)]).holds


def test_all_answered_fails_without_answers_while_it_was_away(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.while_down = 3
    assert not all_answered(scene, STRIKES).holds
    scene.while_down = 200
    monkeypatch.setattr(load_scene, "all_answered", lambda *_: Finding("all_answered", False, "one failed"))
    assert not all_answered(scene, STRIKES).holds


@pytest.mark.parametrize(
    "changed",
    [{"trained_s": 121.0}, {"trained_s": 0.0}, {"waited": [0]}, {"waited": []}, {"left": 1}, {"downs": []}],
    ids=str,
)
def test_it_waited_in_the_outbox_fails(scene: Any, changed: dict[str, Any]) -> None:
    vars(scene).update(changed)
    assert not it_waited_in_the_outbox(scene, STRIKES).holds


def ghost(scene: Any, **changed: Any) -> list[TrackedRun]:
    return [*scene.told_runs, dataclasses.replace(scene.told_runs[1], id="r3", **changed)]


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
def test_a_ghost_is_named(scene: Any, changed: dict[str, Any], said: str) -> None:
    scene.told_runs = ghost(scene, **changed)
    found = one_run_each_and_no_ghost(scene, STRIKES)
    assert not found.holds
    assert said in found.said


@pytest.mark.parametrize("models", [[], [("r2", "LOGGED_MODEL_PENDING")], [("r2", READY), ("r2", READY)]], ids=str)
def test_one_ready_model_each(scene: Any, models: list[tuple[str, str]]) -> None:
    scene.told_models = models
    assert "models: " in one_run_each_and_no_ghost(scene, STRIKES).said


@pytest.mark.parametrize(
    ("auc", "said"),
    [
        ([(1, 0.5)], "auc of a has 1 values, the job told 2"),
        ([(1, 0.5), (2, 0.7501), (2, 0.7501)], "auc of a has 3 values"),
        ([(1, 0.5), (2, 0.7502)], "auc of a has 2 values"),
    ],
    ids=["one is missing", "one is there twice", "one differs"],
)
def test_every_metric_is_there_fails(scene: Any, auc: list[tuple[int, float]], said: str) -> None:
    scene.values["auc"] = auc
    found = every_metric_is_there(scene, STRIKES)
    assert not found.holds
    assert said in found.said


def test_a_log_that_tells_of_nothing_proves_nothing(scene: Any) -> None:
    scene.heard = scene.heard[:1]
    assert "does not tell of every step of a" in every_metric_is_there(scene, STRIKES).said
    scene.heard, scene.told_runs = [], []
    assert "no finished run has a metric" in every_metric_is_there(scene, STRIKES).said


def test_the_steady_state(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_killed, "is_ours", lambda *_: True)
    monkeypatch.setattr(tracker_killed, "probe_mlflow", lambda _: Health(True, "fine"))
    assert mlflow_is_ours_and_well(scene).holds
    monkeypatch.setattr(tracker_killed, "is_ours", lambda *_: False)
    assert "koboshi up" in mlflow_is_ours_and_well(scene).said
