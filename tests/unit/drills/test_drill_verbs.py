"""What a user sees of the drills without a stack: the list, old reports, and one sentence when it cannot be run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from koboshi.cli.drill_verbs import app
from koboshi.drills import run as running
from koboshi.drills.drill import DrillOutcome, Finding
from koboshi.drills.report import make_report, save
from koboshi.drills.run import fingerprints
from koboshi.drills.training.ray_worker_killed import DRILL
from koboshi.drills.training.training_environment import TrainingEnvironment
from koboshi.drills.workload import lent
from koboshi.errors import BadInput, NotConfigured, Permanent, Transient
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange, SpanRef
from koboshi.settings import Settings, load_settings

WORKLOAD = "tests.unit.drills.test_drill_verbs:Nothing"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "koboshi.toml").write_text(f'[ingest]\ntopics = ["t"]\n[drills]\nworkload = "{WORKLOAD}"\n')
    monkeypatch.chdir(tmp_path)
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return load_settings()


def left(settings: Settings, verdict: str, at_s: float = 1e9) -> None:
    outcome = DrillOutcome(verdict, [Finding("c", verdict == "proved", "because")])  # type: ignore[arg-type]
    save(settings.state_dir / "drills", make_report(DRILL, outcome, at_s, settings.project))


def test_list_names_each_drill_its_claim_and_its_last_verdict(project: Settings) -> None:
    left(project, "refuted", 1e9)
    left(project, "proved", 2e9)
    text = CliRunner().invoke(app, ["list"]).stdout
    assert DRILL.name in text
    assert DRILL.claim in text
    assert "proved" in text
    listed = {drill["name"]: drill for drill in json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)}
    assert listed[DRILL.name]["last"]["outcome"]["verdict"] == "proved"


@pytest.mark.parametrize("words", [[], ["--all", DRILL.name]])
def test_what_to_run_has_to_be_said(project: Settings, words: list[str]) -> None:
    assert isinstance(CliRunner().invoke(app, ["run", *words]).exception, BadInput)


def test_show_without_reports_says_what_to_do(project: Settings) -> None:
    assert "koboshi drill run" in CliRunner().invoke(app, ["show"]).stdout


def test_show_prints_the_newest(project: Settings) -> None:
    for number, verdict in enumerate(("unknown", "refuted", "proved")):
        left(project, verdict, 1e9 + number)
    shown = CliRunner().invoke(app, ["show", "--last", "2"]).stdout
    assert "proved" in shown
    assert "unknown" not in shown
    reports = json.loads(CliRunner().invoke(app, ["show", DRILL.name, "--json"]).stdout)
    assert [report["outcome"]["verdict"] for report in reports] == ["unknown", "refuted", "proved"]


@pytest.mark.parametrize("words", [["run", "nothing"], ["show", "nothing"]])
def test_an_unknown_name_is_one_sentence(project: Settings, words: list[str]) -> None:
    assert isinstance(CliRunner().invoke(app, words).exception, BadInput)


def test_without_ray_it_says_how_to_start_it(project: Settings) -> None:
    error = CliRunner().invoke(app, ["run", DRILL.name]).exception
    assert isinstance(error, NotConfigured)
    assert "koboshi up" in str(error)


@pytest.mark.parametrize(("verdict", "error"), [("proved", None), ("refuted", Permanent), ("unknown", Transient)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_verdict_is_the_exit_code(
    project: Settings, monkeypatch: pytest.MonkeyPatch, verdict: str, error: type[Exception] | None, as_json: bool
) -> None:
    """0 only when it is proved."""
    outcome = DrillOutcome(verdict, [Finding("c", verdict == "proved", "because")])  # type: ignore[arg-type]
    report = make_report(DRILL, outcome, 1e9, project.project)
    monkeypatch.setattr(running, "perform", lambda *_: (report, Path("journal.json")))
    result = CliRunner().invoke(app, ["run", DRILL.name, *(["--json"] if as_json else [])])
    assert verdict in result.stdout
    assert type(result.exception) is (error or type(None))
    if error:
        assert "because" in str(result.exception)
    if as_json:
        assert json.loads(result.stdout) == json.loads(json.dumps(report.as_json()))


def test_a_ray_that_does_not_answer_is_unknown_and_leaves_a_report(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was tested; the run's folder is gone, and the reason is kept."""
    monkeypatch.setenv("KOBOSHI_RAY__JOBS_URL", "http://127.0.0.1:9")
    result = CliRunner().invoke(app, ["run", DRILL.name])
    assert isinstance(result.exception, Transient)
    assert "does not tell its nodes" in str(result.exception)
    (found,) = (project.state_dir / "drills" / DRILL.name).iterdir()
    assert json.loads(found.read_text())["outcome"]["verdict"] == "unknown"


def test_an_environment_that_has_not_begun_has_no_end(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOBOSHI_RAY__JOBS_URL", "http://127.0.0.1:9")
    environment = TrainingEnvironment(load_settings(), lambda _line: None)
    with pytest.raises(BadInput, match="not begun"):
        _ = environment.over


@pytest.mark.parametrize("target", [None, "no.module:x", "json:nothing"])
def test_a_workload_that_is_not_there_is_named(target: str | None) -> None:
    with pytest.raises(NotConfigured, match=r"drills\.workload"):
        lent("workload", target)


def test_invariant_state_is_datasets_and_spans(project: Settings) -> None:
    """Another byte in a dataset shows, a span that comes meanwhile does not change the others."""
    data = project.project / "data" / "features"
    data.mkdir(parents=True)
    (data / "table").write_text("rows")
    ledger = Ledger(project.ledger_url)
    lease = leases.acquire(ledger, "ingest", "us", 60)
    reach = SpanRange("t", "id", 0, 0, 5)
    spans.plan(ledger, lease, [reach])
    spans.commit(ledger, lease, SpanRef(reach, "p", "sha", "c", 5))
    before = fingerprints(project)
    assert set(before) == {"dataset features", "span p"}
    (data / "table").write_text("Rows")
    assert fingerprints(project)["dataset features"] != before["dataset features"]
    assert fingerprints(project)["span p"] == before["span p"]


class Nothing:
    """Stands for a workload where none is asked for."""
