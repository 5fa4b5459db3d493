"""Each difference from the undisturbed training is seen, and told by its unit."""

import dataclasses
from typing import Any

import pytest

from benchmarks.nemesis.verdicts import Outcome, Recorded, differences, differences_in_mlflow
from benchmarks.undisturbed import Undisturbed

CONTROL = Undisturbed({"a": [{"auc": 0.5}, {"auc": 0.75}]}, {"a": b"bits"})
GOOD = Outcome({"a": [(1, {"auc": 0.5}), (2, {"auc": 0.75})]}, {"a": b"bits"}, [])
HISTORY = {"auc": [(1, 0.5), (2, 0.75)], "recoveries": [(0, 3.0)]}
RECORDED = Recorded(1, [("a", "FINISHED", HISTORY)])


def test_the_same_is_the_same() -> None:
    assert differences(GOOD, CONTROL) == []
    assert differences_in_mlflow(RECORDED, CONTROL) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"committed": {}}, "a has 0 committed steps, not 1 to 2 once each"),
        ({"committed": {"a": [(1, {"auc": 0.5})] * 2}}, "a has 2 committed steps, not 1 to 2 once each"),
        (
            {"committed": {"a": [(1, {"auc": 0.5}), (2, {"auc": 0.7500001})]}},
            "a: the metrics of step 2 differ from the undisturbed run's",
        ),
        ({"predictions": {"a": b"bitz"}}, "a: the predictions differ from the undisturbed run's"),
        ({"predictions": {}}, "a: the predictions differ from the undisturbed run's"),
        ({"orphans": ["worker 17"]}, "worker 17 is left"),
    ],
)
def test_a_difference_is_told(change: dict[str, Any], sentence: str) -> None:
    assert differences(dataclasses.replace(GOOD, **change), CONTROL) == [sentence]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"parents": 2}, "MLflow has 2 parent runs of the training, not one"),
        (
            {"children": [*RECORDED.children, ("a", "FINISHED", HISTORY)]},
            "MLflow has runs of a, a, not one for each unit",
        ),
        ({"children": []}, "MLflow has runs of no unit, not one for each unit"),
        ({"children": [("a", "RUNNING", HISTORY)]}, "MLflow's run of a is RUNNING"),
        (
            {"children": [("a", "FINISHED", {"auc": [(1, 0.5), (2, 0.75), (2, 0.75)]})]},
            "MLflow has other values of auc of a than the undisturbed run",
        ),
    ],
)
def test_a_ghost_run_or_another_history_is_told(change: dict[str, Any], sentence: str) -> None:
    assert differences_in_mlflow(dataclasses.replace(RECORDED, **change), CONTROL) == [sentence]
