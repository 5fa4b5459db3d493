"""bad-version, and its negative control: replicas that take whatever the slot points at."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.drills.serving.bad_version import DRILL
from tests.support.drill_reports import controlled, failed
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_replicas_that_verify_nothing_are_refuted_for_that_reason(stack_of: Callable[..., RunningStack]) -> None:
    """The false version answers; no request fails all the same, and the good one is taken in the end."""
    serve = (sys.executable, str(Path(__file__).with_name("credulous_replica.py")))
    report = controlled(DRILL, stack_of("mlflow"), serve=serve, patience_s=15)
    assert report.outcome.verdict == "refuted"
    assert failed(report) == {"bad_versions_are_refused", "bad_versions_never_answer", "all_right"}
    assert any(reason.endswith(" predictions came from version 3") for reason in report.outcome.reasons)
    assert any("replica-1 did not refuse version 2 because of its bytes" in reason for reason in report.outcome.reasons)
    assert report.outcome.evidence.measures["lost"] == 0
