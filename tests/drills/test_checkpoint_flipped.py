"""The drill in which the newest checkpoint rots, and its negative control."""

from pathlib import Path

import pytest

from koboshi.drills.training.checkpoint_flipped import DRILL
from tests.support.drill_reports import controlled
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_driver_that_trusts_its_checkpoints_never_goes_on(on_ray: RunningStack) -> None:
    """The worker refuses the bytes, as often as it is told to use them: the unit is quarantined for that reason."""
    report = controlled(DRILL, on_ray, job=Path(__file__).with_name("trusting_job.py"))
    assert report.outcome.verdict == "refuted"
    (reason,) = report.outcome.reasons
    assert "5 of 6 units are trained: forest was quarantined, step 4" in reason
    assert "Corrupt" in reason
