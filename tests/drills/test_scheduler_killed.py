"""The negative control of the drill that kills Airflow's scheduler twice."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.drills.orchestration.scheduler_killed import DRILL
from tests.support.drill_reports import controlled, failed, finding
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_task_that_submits_under_a_random_name_is_refuted(
    stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try is another job; the landing holds.

    A job of another name may take over from the one whose driver is held, once its lease has run out, and does the
    step again that was in hand: that is for the same reason, and may be seen or not.
    """
    project = stack_of("kafka", "ray", "airflow")
    monkeypatch.syspath_prepend(project.project)
    stage = (sys.executable, str(Path(__file__).with_name("random_name_stage.py")))
    report = controlled(DRILL, project, stage=stage)
    assert {"one_job"} <= failed(report) <= {"one_job", "every_step_was_done_once"}, report.outcome.reasons
    assert re.match("Ray ran [2-9] jobs for one training: ", str(finding(report, "one_job")["said"]))
