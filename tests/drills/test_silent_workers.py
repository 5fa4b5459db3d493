"""The controls of the drills in which a worker is stopped or hangs: a pool that hears no beats."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue import ray_worker_hung, ray_worker_stopped
from koboshi.drills.scenes.silent_worker_scene import HungWorkerScene, SilentWorkerScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]

JOB = Path(__file__).with_name("unwatched_job.py")


@pytest.fixture
def project(stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    return running


def test_a_pool_that_hears_no_beats_waits_for_a_stopped_worker(project: RunningStack) -> None:
    """Refuted, since the training has not ended; once the worker is let go on it ends, and Ray is idle again."""
    scene = partial(SilentWorkerScene, job=JOB)
    drill = dataclasses.replace(ray_worker_stopped.DRILL, scene=scene, within_s=30)
    report, _ = perform(drill, project.settings, lambda _: None)
    assert report.verdict == "refuted"
    assert report.reasons == ["the training had not ended after 30 s"]


def test_a_pool_that_hears_no_beats_waits_for_a_hung_worker(project: RunningStack) -> None:
    drill = dataclasses.replace(ray_worker_hung.DRILL, scene=partial(HungWorkerScene, job=JOB), within_s=60)
    report, _ = perform(drill, project.settings, lambda _: None)
    assert report.verdict == "refuted"
    assert report.reasons == ["the training had not ended after 60 s"]
