"""Verdicts as JUnit's XML, which CI systems show: refuted is a failure, unknown is skipped."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from koboshi.drills.report import Report
from koboshi.files import publish_bytes

ELEMENTS = {"refuted": "failure", "unknown": "skipped"}


def publish_junit(path: Path, reports: Sequence[Report]) -> None:
    """Write one test case for each report, whole."""
    verdicts = [report.outcome.verdict for report in reports]
    counts = {"tests": len(reports), "failures": verdicts.count("refuted"), "skipped": verdicts.count("unknown")}
    suite = Element("testsuite", {"name": "koboshi drills", **{name: str(count) for name, count in counts.items()}})
    for report in reports:
        case = SubElement(suite, "testcase", {"classname": "koboshi.drills", "name": report.drill})
        case.set("time", f"{report.took_s:.1f}")
        if element := ELEMENTS.get(report.outcome.verdict):
            SubElement(case, element, {"message": "; ".join(report.outcome.reasons)})
    indent(suite)
    publish_bytes(path, tostring(suite, encoding="utf-8", xml_declaration=True))
