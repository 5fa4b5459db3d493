"""The drill, and its negative control: without the guard it must be refuted, and for that very reason."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from koboshi.drills.catalogue.ray_worker_killed import DRILL
from koboshi.drills.report import Report
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.stage import perform
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.stack


@pytest.fixture
def project(stack_of: Callable[..., RunningStack], monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    return running


def finding(report: Report, check: str) -> dict[str, object]:
    (found,) = [finding for finding in report.outcome["findings"] if finding["check"] == check]
    return dict(found)


def test_a_killed_worker_is_survived_and_that_is_proved(project: RunningStack) -> None:
    """I5: by the command that a user types; the report is in the journal, and `show` prints it."""
    done = project.run("drill", "run", DRILL.name, "--json", timeout_s=240)
    report = json.loads(done.stdout)
    assert report["outcome"]["verdict"] == "proved"
    assert report["outcome"]["evidence"]["measures"]["redone"] == 1
    assert (
        0
        < report["outcome"]["evidence"]["measures"]["detected_after_s"]
        < report["outcome"]["evidence"]["measures"]["recovered_after_s"]
    )
    assert json.loads(project.run("drill", "show", DRILL.name, "--json").stdout)[-1] == report
    shown = project.run("drill", "show").stdout
    assert "proved" in shown
    assert "detected after" in shown


def test_a_pool_that_forgets_the_checkpoint_is_refuted_for_that_reason(project: RunningStack) -> None:
    """The struck candidate lacks its lost steps, and only its predictions tell: all other checks hold."""
    said: list[str] = []
    job = Path(__file__).with_name("forgetful_job.py")
    drill = dataclasses.replace(DRILL, scene=partial(TrainingScene, job=job))
    report, path = perform(drill, project.settings, said.append)
    assert report.verdict == "refuted", report.outcome["findings"]
    (reason,) = report.reasons
    assert reason.startswith("forest: predictions differ from the undisturbed control's in ")
    assert ";" not in reason
    assert finding(report, "struck_once")["holds"]
    assert finding(report, "went_on_from_the_committed_step")["holds"]
    assert json.loads(path.read_text())["outcome"]["verdict"] == "refuted"
