"""The drill that kills a training job's driver, and its negative control."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.driver_killed import DRILL
from koboshi.drills.scenes.driver_scene import DriverScene
from koboshi.drills.stage import perform
from tests.support.drill_reports import refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_job_that_begins_anew_is_refuted_when_its_driver_dies(
    stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models come out right in the end, but committed steps were done again, and the files tell."""
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    job = Path(__file__).with_name("restarting_job.py")
    drill = dataclasses.replace(DRILL, scene=partial(DriverScene, job=job))
    report, _ = perform(drill, running.settings, lambda _: None)
    reason = refuted_only_by(report, "no_step_on_file_was_done_again")
    assert "forest/step-1 was done again" in reason
