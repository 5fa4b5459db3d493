"""gateway-killed, and its negative controls: clients that ask once, and a gateway that nobody starts again."""

import pytest

from koboshi.drills.kit.aiohttp_load import Load
from koboshi.drills.serving.gateway_killed import DRILL, REQUESTS
from koboshi.drills.serving.load_environment import own_gateway
from tests.support.drill_reports import controlled, refuted_only_by, run_by_command
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_killed_gateway_costs_no_prediction_and_that_is_proved(served: RunningStack) -> None:
    """I7: by the command that a user types; the supervisor starts it again, and the clients have waited for it."""
    measures = run_by_command(served, DRILL.name)["outcome"]["evidence"]["measures"]
    assert measures["requests"] > REQUESTS
    assert (measures["lost"], measures["doubled"], measures["wrong"]) == (0, 0, 0)
    assert 0 < measures["detected_after_s"] < measures["recovered_after_s"]
    assert measures["redone"] > 0


def test_clients_that_ask_once_are_refuted_for_that_reason(served: RunningStack) -> None:
    """What was due while nobody listened is lost; the gateway is back all the same."""
    report = controlled(DRILL, served, load=Load, requests=500)
    assert " requests failed (" in refuted_only_by(report, "all_answered")
    assert report.outcome.evidence.measures["lost"] > 0
    assert report.outcome.evidence.measures["wrong"] == 0


def test_a_gateway_that_nobody_starts_again_is_refuted_for_that_reason(served: RunningStack) -> None:
    """A process of the drill's own, with the stack's configuration and without a supervisor."""
    report = controlled(DRILL, served, within_s=20, gateway=own_gateway)
    assert refuted_only_by(report, "load_ended") == "0 predictions came after the injection, of at least 2,000"
