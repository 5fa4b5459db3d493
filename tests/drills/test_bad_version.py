"""bad-version, and its negative control: replicas that take whatever the slot points at."""

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.bad_version import DRILL
from koboshi.drills.scenes.release_scene import ReleaseScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_replicas_that_verify_nothing_are_refuted_for_that_reason(stack_of: Callable[..., RunningStack]) -> None:
    """The false version answers; no request fails all the same, and the good one is taken in the end."""
    serve = (sys.executable, str(Path(__file__).with_name("credulous_replica.py")))
    drill = dataclasses.replace(DRILL, scene=partial(ReleaseScene, serve=serve, patience_s=15))
    report, _path = perform(drill, stack_of("mlflow").settings, lambda _: None)
    assert report.verdict == "refuted"
    failed = {finding["check"] for finding in report.outcome["findings"] if not finding["holds"]}
    assert failed == {"bad_versions_are_refused", "bad_versions_never_answer", "all_right"}
    assert any(reason.endswith(" predictions came from version 3") for reason in report.reasons)
    assert any("replica-1 did not refuse version 2 because of its bytes" in reason for reason in report.reasons)
    assert report.measures["lost"] == 0
