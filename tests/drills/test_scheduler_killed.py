"""The negative control of the drill that kills Airflow's scheduler twice."""

import dataclasses
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.scheduler_killed import DRILL
from koboshi.drills.scenes.scheduler_scene import SchedulerScene
from koboshi.drills.stage import perform
from tests.support.drill_reports import finding
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
    drill = dataclasses.replace(DRILL, scene=partial(SchedulerScene, stage=stage))
    report, _ = perform(drill, project.settings, lambda _: None)
    failed = {one["check"] for one in report.outcome["findings"] if not one["holds"]}
    assert {"trained_once"} <= failed <= {"trained_once", "every_step_was_done_once"}, report.reasons
    assert re.match("Ray ran [2-9] jobs for one training: ", str(finding(report, "trained_once")["said"]))
