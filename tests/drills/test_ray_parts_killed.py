"""Drills that kill a Ray node and the head, and their negative controls."""

from pathlib import Path

import pytest

from koboshi.drills.training import ray_head_killed, ray_node_killed
from tests.support.drill_reports import controlled, refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_pool_that_forgets_the_checkpoint_is_refuted_when_a_node_dies(on_ray: RunningStack) -> None:
    """It goes on elsewhere at the right step, with an empty model: only the predictions tell."""
    report = controlled(ray_node_killed.DRILL, on_ray, job=Path(__file__).with_name("forgetful_job.py"))
    reason = refuted_only_by(report, "predictions_equal_the_control")
    assert "forest: predictions differ from the undisturbed control's in " in reason


def test_a_job_that_begins_anew_is_refuted_when_the_head_dies(on_ray: RunningStack) -> None:
    """The models come out right in the end, but committed steps were done again, and the files tell."""
    report = controlled(ray_head_killed.DRILL, on_ray, job=Path(__file__).with_name("restarting_job.py"))
    assert "forest/step-1 was done again" in refuted_only_by(report, "no_committed_step_was_done_again")
