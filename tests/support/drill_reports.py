"""What a test reads out of a drill's report, and how it comes by one."""

import dataclasses
import json
from functools import partial
from typing import Any

from koboshi.drills.drill import Drill
from koboshi.drills.report import Report
from koboshi.drills.run import perform
from tests.support.running_stack import RunningStack


def run_by_command(running: RunningStack, name: str, timeout_s: float = 240) -> dict[str, Any]:
    """The report of a drill that a person runs by its name; it has to be proved."""
    told: dict[str, Any] = json.loads(running.run("drill", "run", name, "--json", timeout_s=timeout_s).stdout)
    assert told["outcome"]["verdict"] == "proved", told["outcome"]
    return told


def controlled(drill: Drill[Any], running: RunningStack, within_s: float | None = None, **given: Any) -> Report:
    """What a drill comes to whose environment is given something else than koboshi's own: the negative control."""
    control = dataclasses.replace(
        drill,
        environment=partial(drill.environment, **given),
        within_s=drill.within_s if within_s is None else within_s,
    )
    report, _ = perform(control, running.settings, lambda _: None)
    return report


def finding(report: Report, check: str) -> dict[str, object]:
    (found,) = [finding for finding in report.outcome.findings if finding.check == check]
    return dataclasses.asdict(found)


def held(report: Report) -> set[str]:
    """The checks that hold."""
    return {finding.check for finding in report.outcome.findings if finding.holds}


def failed(report: Report) -> set[str]:
    """The checks that do not hold."""
    return {finding.check for finding in report.outcome.findings} - held(report)


def refuted_by(report: Report, *checks: str) -> list[str]:
    """What refutes, in the order of the checks, which are these and no others."""
    assert report.outcome.verdict == "refuted", report.outcome.findings
    wrong = [finding for finding in report.outcome.findings if not finding.holds]
    assert [finding.check for finding in wrong] == list(checks), wrong
    return [str(finding.said) for finding in wrong]


def refuted_only_by(report: Report, check: str) -> str:
    """The one sentence that refutes; all other findings hold."""
    (said,) = refuted_by(report, check)
    return said
