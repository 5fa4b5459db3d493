"""The controls of the drills in which a worker is stopped or hangs: a pool that hears no beats."""

from pathlib import Path

import pytest

from koboshi.drills.training import ray_worker_hung, ray_worker_stopped
from tests.support.drill_reports import controlled
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

JOB = Path(__file__).with_name("unwatched_job.py")


def test_a_pool_that_hears_no_beats_waits_for_a_stopped_worker(on_ray: RunningStack) -> None:
    """Refuted, since the training has not ended; once the worker is let go on it ends, and Ray is idle again."""
    report = controlled(ray_worker_stopped.DRILL, on_ray, within_s=30, job=JOB)
    assert report.outcome.verdict == "refuted"
    assert report.outcome.reasons == ["the training had not ended after 30 s"]


def test_a_pool_that_hears_no_beats_waits_for_a_hung_worker(on_ray: RunningStack) -> None:
    report = controlled(ray_worker_hung.DRILL, on_ray, within_s=60, job=JOB)
    assert report.outcome.verdict == "refuted"
    assert report.outcome.reasons == ["the training had not ended after 60 s"]
