"""What a test reads out of a drill's report."""

import json
from typing import Any

from koboshi.drills.report import Report
from tests.support.running_stack import RunningStack


def run_by_command(running: RunningStack, name: str, timeout_s: float = 240) -> dict[str, Any]:
    """The report of a drill that a person runs by its name; it has to be proved."""
    told: dict[str, Any] = json.loads(running.run("drill", "run", name, "--json", timeout_s=timeout_s).stdout)
    assert told["outcome"]["verdict"] == "proved"
    return told


def finding(report: Report, check: str) -> dict[str, object]:
    (found,) = [finding for finding in report.outcome["findings"] if finding["check"] == check]
    return dict(found)


def refuted_only_by(report: Report, check: str) -> str:
    """The one sentence that refutes; all other findings hold."""
    assert report.verdict == "refuted", report.reasons
    failed = [finding for finding in report.outcome["findings"] if not finding["holds"]]
    assert [finding["check"] for finding in failed] == [check], failed
    return str(failed[0]["said"])
