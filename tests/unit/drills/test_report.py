"""The journal reads back as it was written, and the table says what a person wants to know."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from koboshi.drills.catalogue import DRILLS, named
from koboshi.drills.drill import Finding, Outcome
from koboshi.drills.fault import Strike
from koboshi.drills.ray_worker_killed import DRILL
from koboshi.drills.report import Report, as_table, make_report, save, saved
from koboshi.errors import BadInput

OUTCOME = Outcome(
    "refuted",
    [Finding("struck_once", True, "pid 7"), Finding("same_models", False, "forest: predictions differ")],
    Strike(7, "ray::step", 0.25, 100.0, 10.0, gone=True),
    {"detected_after_s": 0.04, "recovered_after_s": 0.5, "steps_redone": 1.0},
)


@pytest.fixture
def report() -> Report:
    return make_report(DRILL, OUTCOME, at_s=1_700_000_000.25)


def test_saved_and_read_back(report: Report, tmp_path: Path) -> None:
    path = save(tmp_path, report)
    assert path.name == "20231114T221320-250.json"
    (found,) = saved(tmp_path, DRILL.name)
    assert found.as_json() == json.loads(path.read_text())
    assert found.reasons == ["forest: predictions differ"]
    assert list(saved(tmp_path, "another")) == []


def test_oldest_first(report: Report, tmp_path: Path) -> None:
    for at_s in (3e8, 1e8, 2e8):
        save(tmp_path, make_report(DRILL, OUTCOME, at_s))
    assert [found.at_s for found in saved(tmp_path)] == [1e8, 2e8, 3e8]


def test_another_format_is_refused(report: Report, tmp_path: Path) -> None:
    path = save(tmp_path, report)
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(BadInput, match="format 9"):
        list(saved(tmp_path))


def test_the_table_tells_claim_fault_times_and_verdict(report: Report) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_table(report))
    text = console.export_text()
    for words in (DRILL.claim, "pid 7, ray::step, 0.25 s", "detected after", "0.04 s", "steps redone", "1", "refuted"):
        assert words in text
    assert "✗ forest: predictions differ" in text


def test_the_catalogue() -> None:
    assert list(DRILLS) == ["ray-worker-killed"]
    assert named("ray-worker-killed") is DRILL
    with pytest.raises(BadInput, match="koboshi drill list"):
        named("nothing")
