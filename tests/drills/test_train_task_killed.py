"""The drill that kills a training task of Airflow with its supervisor, and its negative control, both at once.

Airflow takes more than half a minute to miss a heartbeat, so the two wait for that side by side.
"""

import dataclasses
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.orchestration.task_environment import TaskEnvironment, airflow_is_ours_and_well
from koboshi.drills.orchestration.train_task_killed import DRILL
from koboshi.drills.report import Report
from koboshi.drills.run import perform
from tests.support.drill_reports import finding, refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.airflow]


@pytest.fixture(scope="module")
def reports(stack_of: Callable[..., RunningStack]) -> tuple[Report, Report]:
    """What the drill and the control came to."""
    project = stack_of("ray", "airflow")
    stage = (sys.executable, str(Path(__file__).with_name("random_name_stage.py")))
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.syspath_prepend(project.project)
        drill = dataclasses.replace(DRILL, steady=(airflow_is_ours_and_well,))  # Ray is busy with the other one
        control = dataclasses.replace(drill, environment=partial(TaskEnvironment, stage=stage))
        both = [pool.submit(perform, one, project.settings, lambda _: None) for one in (drill, control)]
        done = [future.result() for future in both]
    return done[0][0], done[1][0]


def test_a_killed_task_is_tried_again_and_attaches(reports: tuple[Report, Report]) -> None:
    """I6: one digest, one job, one model, whatever became of who asked for it."""
    report, _ = reports
    assert report.outcome.verdict == "proved", report.outcome.reasons
    assert report.outcome.evidence.measures["tries"] >= 2  # on a busy machine Airflow may lose one more


def test_a_task_that_submits_under_a_random_name_is_refuted(reports: tuple[Report, Report]) -> None:
    """Ray has two jobs for one training; the lease still lets only one of them do the steps."""
    _, report = reports
    assert re.match(r"Ray ran ([2-9]|\d\d) jobs for one training: ", refuted_only_by(report, "retry_attached"))
    assert finding(report, "every_step_was_done_once")["holds"]
