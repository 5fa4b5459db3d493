"""network-cut-serving, and its negative control: a gateway that waits for whoever it has chosen."""

from functools import partial

import pytest

from koboshi.drills.serving.load_environment import own_gateway
from koboshi.drills.serving.network_cut_serving import DRILL
from koboshi.testing import render_without_retries
from tests.support.drill_reports import controlled, refuted_only_by
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_gateway_that_only_waits_is_refuted_for_that_reason(served: RunningStack) -> None:
    """What went into the silent network is given up by the gateway after ten seconds."""
    gateway = partial(own_gateway, render=render_without_retries)
    report = controlled(DRILL, served, gateway=gateway, requests=2_500)
    assert "504: " in refuted_only_by(report, "all_answered")
    assert report.outcome.evidence.measures["wrong"] == 0
