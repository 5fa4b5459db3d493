"""What a test reads out of a drill's report."""

from koboshi.drills.report import Report


def finding(report: Report, check: str) -> dict[str, object]:
    (found,) = [finding for finding in report.outcome["findings"] if finding["check"] == check]
    return dict(found)


def refuted_only_by(report: Report, check: str) -> str:
    """The one sentence that refutes; all other findings hold."""
    assert report.verdict == "refuted", report.reasons
    failed = [finding for finding in report.outcome["findings"] if not finding["holds"]]
    assert [finding["check"] for finding in failed] == [check], failed
    return str(failed[0]["said"])
