"""The drill, and its control: a lander that lets its client commit must be refuted, and for that very reason."""

import re

import pytest

from koboshi.drills.ingest.landing_killed import DRILL
from tests.drills import naive_lander
from tests.support.drill_reports import controlled, held, run_by_command
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.parts


def test_killed_landers_are_survived_and_that_is_proved(on_kafka: RunningStack) -> None:
    """I1, I2, I3: by the command that a user types. The torn file's range and the one without a row are read again."""
    outcome = run_by_command(on_kafka, DRILL.name)["outcome"]
    details = [injection["detail"].split(",")[0] for injection in outcome["strikes"]]
    assert details == ["in a file", "between a file and its row", "after a row"]
    measures = outcome["evidence"]["measures"]
    assert {name: measures[name] for name in ("lost", "doubled", "redone")} == {"lost": 0, "doubled": 0, "redone": 2}
    assert 0 < measures["detected_after_s"] < measures["recovered_after_s"]
    assert sum(value for _, value in outcome["evidence"]["series"][0]["points"]) == 18_000


def test_a_lander_that_lets_its_client_commit_is_refuted_for_that_reason(on_kafka: RunningStack) -> None:
    """What was committed before its file was whole is missing. (What was not yet when its file stood is doubled, if the
    client's clock had not come round: that is told, too, and not in every run.)"""
    report = controlled(DRILL, on_kafka, lander=naive_lander.KIND)
    assert report.outcome.verdict == "refuted", report.outcome.findings
    assert len(report.outcome.reasons) == 2, report.outcome.reasons
    lost_or_doubled, other_files = report.outcome.reasons
    assert re.search(r"partition \d: offset \d+ is missing", lost_or_doubled)
    assert "files are not those of the undisturbed lander" in other_files
    assert {"kafka_works", "landing_ended", "killed_where_it_hurts", "invariant_state_kept"} <= held(report)
