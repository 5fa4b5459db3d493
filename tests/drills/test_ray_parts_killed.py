"""Drills that kill a Ray node and the head, and their negative controls."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue import ray_head_killed, ray_node_killed
from koboshi.drills.scenes.ray_part_scene import RayHeadScene, RayPartScene
from koboshi.drills.stage import perform
from tests.support.drill_reports import refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


@pytest.fixture
def project(stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    return running


def test_a_pool_that_forgets_the_checkpoint_is_refuted_when_a_node_dies(project: RunningStack) -> None:
    """It goes on elsewhere at the right step, with an empty model: only the predictions tell."""
    job = Path(__file__).with_name("forgetful_job.py")
    drill = dataclasses.replace(ray_node_killed.DRILL, scene=partial(RayPartScene, job=job))
    report, _ = perform(drill, project.settings, lambda _: None)
    reason = refuted_only_by(report, "predictions_equal_the_control")
    assert "forest: predictions differ from the undisturbed control's in " in reason


def test_a_job_that_begins_anew_is_refuted_when_the_head_dies(project: RunningStack) -> None:
    """The models come out right in the end, but committed steps were done again, and the files tell."""
    job = Path(__file__).with_name("restarting_job.py")
    drill = dataclasses.replace(ray_head_killed.DRILL, scene=partial(RayHeadScene, job=job))
    report, _ = perform(drill, project.settings, lambda _: None)
    reason = refuted_only_by(report, "no_committed_step_was_done_again")
    assert "forest/step-1 was done again" in reason
