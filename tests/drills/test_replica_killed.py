"""replica-killed, and its negative control: a gateway that does not try again."""

from functools import partial

import pytest

from koboshi.drills.serving.load_environment import REQUESTS, own_gateway
from koboshi.drills.serving.replica_killed import DRILL
from koboshi.testing import render_without_retries
from tests.support.drill_reports import controlled, refuted_only_by, run_by_command
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.stack


def test_a_killed_replica_costs_no_prediction_and_that_is_proved(served: RunningStack) -> None:
    """I7: by the command that a user types; it comes back by itself and takes its share."""
    measures = run_by_command(served, DRILL.name)["outcome"]["evidence"]["measures"]
    assert measures["requests"] > REQUESTS
    assert (measures["lost"], measures["doubled"], measures["wrong"]) == (0, 0, 0)
    assert 0 < measures["detected_after_s"] < measures["recovered_after_s"]


def test_a_gateway_that_does_not_try_again_is_refuted_for_that_reason(served: RunningStack) -> None:
    """What the dead replica was asked is lost; what was answered is right all the same."""
    gateway = partial(own_gateway, render=render_without_retries)
    report = controlled(DRILL, served, gateway=gateway, requests=1_000)
    said = refuted_only_by(report, "all_answered")
    assert " requests failed (" in said
    assert "503: " in said
    assert report.outcome.evidence.measures["lost"] > 0
    assert report.outcome.evidence.measures["wrong"] == 0
