"""The journal reads back as it was written, and the table says what a person wants to know."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from koboshi.drills.catalogue import named
from koboshi.drills.drill import DrillOutcome, Event, Evidence, Finding, Injection, Series
from koboshi.drills.report import Report, as_table, make_report, measured, newest, read, save, saved
from koboshi.drills.training.ray_worker_killed import DRILL
from koboshi.errors import BadInput

OUTCOME = DrillOutcome(
    "refuted",
    [Finding("killed_once", True, "pid 7"), Finding("same_models", False, "forest: predictions differ")],
    [Injection("SIGKILL", "ray::step", 100.0, 10.0, took=True, pid=7, detail="0.25 s of work into it")],
    Evidence(
        {"detected_after_s": 0.04, "recovered_after_s": 0.5, "redone": 1.0},
        [Event(100.04, "suspicion", "worker died")],
        [Series("committed steps", "1/s", [(100.0, 2.0)])],
    ),
)


@pytest.fixture
def report() -> Report:
    return make_report(DRILL, OUTCOME, 1_700_000_000.25, Path(__file__).parent)


def test_saved_and_read_back(report: Report, tmp_path: Path) -> None:
    path = save(tmp_path, report)
    assert path.name == "20231114T221320-250.json"
    (found,) = saved(tmp_path, DRILL.name)
    assert json.loads(json.dumps(found.as_json())) == json.loads(path.read_text())
    assert found.outcome.reasons == ["forest: predictions differ"]
    assert list(saved(tmp_path, "another")) == []


def test_oldest_first(report: Report, tmp_path: Path) -> None:
    for at_s in (3e8, 1e8, 2e8):
        save(tmp_path, make_report(DRILL, OUTCOME, at_s, tmp_path))
    assert [found.at_s for found in saved(tmp_path)] == [1e8, 2e8, 3e8]
    assert newest(tmp_path)[DRILL.name].at_s == 3e8


def test_another_format_is_refused(report: Report, tmp_path: Path) -> None:
    path = save(tmp_path, report)
    path.write_text(path.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(BadInput, match="format 9"):
        list(saved(tmp_path))


def test_the_table_tells_claim_fault_times_and_verdict(report: Report) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_table(report))
    text = console.export_text()
    for words in (DRILL.claim, "ray::step (pid 7), 0.25 s", "detected after", "0.04 s", "redone", "1", "refuted"):
        assert words in text
    assert "✗ forest: predictions differ" in text


def test_the_catalogue() -> None:
    assert named("ray-worker-killed") == [DRILL]
    assert [drill for drill in named("ray") if drill is DRILL] == [DRILL]
    with pytest.raises(BadInput, match="koboshi drill list"):
        named("nothing")


def test_a_journal_of_format_1_is_still_read(tmp_path: Path) -> None:
    """One injection and its measures, as they were written before drills knew other faults."""
    injection = {"pid": 7, "doing": "ray::a", "cpu_s": 0.1, "at_s": 1.0, "at_monotonic": 2.0, "gone": True}
    outcome = {"verdict": "proved", "findings": [], "strike": injection, "measures": {"steps_redone": 1.0}}
    old = {"format": 1, "drill": "d", "claim": "c", "fault": "f", "at_s": 1.0, "took_s": 2.0, "outcome": outcome}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    report = read(path)
    assert report.outcome.evidence.measures == {"redone": 1.0}
    assert report.outcome.injections[0].target == "ray::a"


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', "\x00", "[" * 100_000])
def test_what_is_no_journal_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="no journal of a drill") as refused:
        read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("at_s",), "noon"),
        (("at_s",), 1e300),
        (("outcome",), {}),
        (("outcome", "verdict"), "perhaps"),
        (("outcome", "findings"), [{"check": "c"}]),
        (("outcome", "strikes"), [7]),
        (("outcome", "evidence"), {"series": [{"name": "n", "unit": "u", "points": [[1.0]]}]}),
    ],
)
def test_a_field_that_is_none_of_ours_is_refused_and_named(
    report: Report, tmp_path: Path, field: tuple[str, ...], value: object
) -> None:
    """A journal is foreign input: nothing after this meets a shape that it does not know."""
    told = json.loads(json.dumps(report.as_json()))
    place = told
    for name in field[:-1]:
        place = place[name]
    place[field[-1]] = value
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(told))
    with pytest.raises(BadInput, match="no journal of a drill") as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.json cannot be read"):
        read(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lost", 0.0, "0"),
        ("answers", 1234567.0, "1,234,567"),
        ("ratio", 0.25, "0.25"),
        ("recovered_after_s", 0.5, "0.50 s"),
        ("p99_ms", 41.0, "41.0 ms"),
        ("slowest_ms", 105540.2, "105,540 ms"),
    ],
)
def test_a_measure_reads_as_people_write_it(name: str, value: float, said: str) -> None:
    assert measured(name, value) == said
