"""The negative control of the drill that kills MLflow while a training is recorded."""

from collections.abc import Callable, Iterator

import pytest

from koboshi.drills.catalogue.tracker_killed import DRILL
from koboshi.drills.stage import perform
from koboshi.registry import mlflow_runs
from tests.support.drill_reports import finding, refuted_only_by
from tests.support.running_stack import RunningStack
from tests.support.tiny_champion import tiny_champion

pytestmark = [pytest.mark.stack, pytest.mark.drills]


@pytest.fixture(scope="module")
def served(stack_of: Callable[..., RunningStack]) -> Iterator[RunningStack]:
    with tiny_champion(stack_of("ray", "mlflow", "replicas", "gateway")) as running:
        yield running


def test_a_recorder_that_does_not_look_first_leaves_a_ghost(
    served: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried again after MLflow is back, it makes a second parent; training and predictions are not touched by that.

    The client's own patience is taken away, too: on a fast machine it would outlast the restart.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.syspath_prepend(served.project)
    monkeypatch.setattr(mlflow_runs, "_find", lambda *_: None)
    report, _ = perform(DRILL, served.settings, lambda _: None)
    assert refuted_only_by(report, "one_run_each_and_no_ghost").startswith("2 parent runs for one training")
    assert finding(report, "every_metric_is_there")["holds"]
