"""The negative control of the drill that cuts the network between Ray's head and who trains with it."""

from typing import ClassVar

import pytest

from koboshi.drills.training.network_cut_training import DRILL
from koboshi.errors import Unavailable
from koboshi.training.attach import JobInfo
from koboshi.training.on_ray.ray_submit import RayJobs
from tests.support.drill_reports import controlled, refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


class HastyJobs(RayJobs):
    """Takes silence for absence, once: on a busy machine the API may be slow at other times, too.

    Silence may begin while the log is read: then the job is asked for next, as where the log cannot be had.
    """

    forgotten: ClassVar[set[str]] = set()

    def find(self, name: str) -> JobInfo | None:
        try:
            return super().find(name)
        except Unavailable:
            if self.forgotten:
                raise
            self.forgotten.add(name)
            return None

    def log(self, name: str) -> str:
        try:
            return super().log(name)
        except Unavailable:
            if self.forgotten:
                raise
            return ""


def test_a_follower_that_takes_silence_for_absence_is_refuted(on_ray: RunningStack) -> None:
    """It gives up a job that trains on and submits another; the lease still has every step done once."""
    report = controlled(DRILL, on_ray, jobs=HastyJobs)
    assert refuted_only_by(report, "one_job").startswith("Ray ran 2 jobs for one training: ")
