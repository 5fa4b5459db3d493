"""Negative control: a lander that lets its client commit loses what it held when the network falls silent."""

import re

import pytest

from koboshi.drills.ingest.network_cut_ingest import DRILL
from tests.drills import naive_lander
from tests.support.drill_reports import controlled, held
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.drills]


def test_a_lander_that_lets_its_client_commit_is_refuted_for_that_reason(on_kafka: RunningStack) -> None:
    """It began again when it heard nothing; the client had committed what it held, and nobody reads that again."""
    report = controlled(DRILL, on_kafka, lander=naive_lander.KIND)
    assert report.outcome.verdict == "refuted"
    acknowledged, landed = report.outcome.reasons
    assert re.search(r"[1-9][\d,]* are acknowledged, and lost, first record \d+", acknowledged)
    assert re.search(r"partition \d: offset \d+ is missing", landed)
    assert {"kafka_works", "landing_ended", "gave_up_in_time", "invariant_state_kept"} <= held(report)
