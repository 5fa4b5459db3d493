"""The drill, and its negative control: without the guard it must be refuted, and for that very reason."""

import json
from pathlib import Path

import pytest

from koboshi.drills.report import saved
from koboshi.drills.training.ray_worker_killed import DRILL
from tests.support.drill_reports import controlled, finding, run_by_command
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.stack


def test_a_killed_worker_is_survived_and_that_is_proved(on_ray: RunningStack) -> None:
    """I5: by the command that a user types; the report is in the journal, and `show` prints it."""
    report = run_by_command(on_ray, DRILL.name)
    measures = report["outcome"]["evidence"]["measures"]
    assert measures["redone"] == 1
    assert 0 < measures["detected_after_s"] < measures["recovered_after_s"]
    assert json.loads(on_ray.run("drill", "show", DRILL.name, "--json").stdout)[-1] == report
    shown = on_ray.run("drill", "show").stdout
    assert "proved" in shown
    assert "detected after" in shown


def test_a_pool_that_forgets_the_checkpoint_is_refuted_for_that_reason(on_ray: RunningStack) -> None:
    """The killed candidate lacks its lost steps, and only its predictions tell: all other checks hold."""
    report = controlled(DRILL, on_ray, job=Path(__file__).with_name("forgetful_job.py"))
    assert report.outcome.verdict == "refuted", report.outcome.findings
    (reason,) = report.outcome.reasons
    assert reason.startswith("forest: predictions differ from the undisturbed control's in ")
    assert ";" not in reason
    assert finding(report, "killed_once")["holds"]
    assert finding(report, "went_on_from_the_committed_step")["holds"]
    (*_, kept) = saved(on_ray.settings.state_dir / "drills", DRILL.name)
    assert kept.outcome.verdict == "refuted"
