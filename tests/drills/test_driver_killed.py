"""The drill that kills a training job's driver, and its negative control."""

from pathlib import Path

import pytest

from koboshi.drills.training.driver_killed import DRILL
from tests.support.drill_reports import controlled, refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_job_that_begins_anew_is_refuted_when_its_driver_dies(on_ray: RunningStack) -> None:
    """The models come out right in the end, but committed steps were done again, and the files tell."""
    report = controlled(DRILL, on_ray, job=Path(__file__).with_name("restarting_job.py"))
    assert "forest/step-1 was done again" in refuted_only_by(report, "no_step_on_file_was_done_again")
