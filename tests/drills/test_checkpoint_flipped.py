"""The drill in which the newest checkpoint rots, and its negative control."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.checkpoint_flipped import DRILL
from koboshi.drills.scenes.flipped_checkpoint_scene import FlippedCheckpointScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_driver_that_trusts_its_checkpoints_never_goes_on(
    stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker refuses the bytes, as often as it is told to use them: the unit is set aside for that reason."""
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    job = Path(__file__).with_name("trusting_job.py")
    drill = dataclasses.replace(DRILL, scene=partial(FlippedCheckpointScene, job=job))
    report, _ = perform(drill, running.settings, lambda _: None)
    assert report.verdict == "refuted"
    (reason,) = report.reasons
    assert "5 of 6 units are trained: forest was set aside, step 4" in reason
    assert "Corrupt" in reason
