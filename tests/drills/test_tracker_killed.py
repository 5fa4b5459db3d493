"""The negative control of the drill that kills MLflow during a training, and again while it is delivered."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from koboshi.drills.run import perform
from koboshi.drills.tracking.tracker_killed import DRILL
from koboshi.registry import mlflow_runs
from koboshi.registry.mlflow_lookup import KEY_TAG
from tests.support.drill_reports import finding, refuted_only_by
from tests.support.running_stack import RunningStack
from tests.support.tiny_champion import tiny_champion

pytestmark = [pytest.mark.stack, pytest.mark.drills]


@pytest.fixture(scope="module")
def served(stack_of: Callable[..., RunningStack]) -> Iterator[RunningStack]:
    with tiny_champion(stack_of("ray", "mlflow", "replicas", "gateway")) as running:
        yield running


def made_without_looking(
    client: MlflowClient, experiment: str, key: str, _facts: Any, started_s: float | None = None
) -> Run:
    """What `the_training` would be if it made a run each time."""
    started_ms = round((started_s or time.time()) * 1000)
    return client.get_run(client.create_run(experiment, started_ms, tags={KEY_TAG: key}).info.run_id)


def test_a_delivery_that_does_not_look_first_leaves_a_ghost(
    served: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried again after MLflow is back, it makes another parent; training and predictions are not touched by that.

    The client's own patience is taken away, too: on a fast machine it would outlast the restart.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.syspath_prepend(served.project)
    monkeypatch.setattr(mlflow_runs, "the_training", made_without_looking)
    report, _ = perform(DRILL, served.settings, lambda _: None)
    refuted = refuted_only_by(report, "one_run_each_and_no_ghost")
    assert re.match("[2-9] parent runs for one training", refuted)
    assert finding(report, "it_waited_in_the_outbox")["holds"]
    assert finding(report, "every_metric_is_there")["holds"]
