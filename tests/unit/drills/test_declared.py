"""What drills work on in a project that declares its pipeline, how its own drills are found, and JUnit's XML."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from koboshi.datasets.span_records import RawBatch
from koboshi.drills.catalogue import all_drills, named
from koboshi.drills.declared import (
    AGAIN,
    TRUNCATED,
    UNDECODABLE,
    DeclaredStream,
    of_project,
    stream_of,
    workload_of,
)
from koboshi.drills.drill import DrillOutcome, DrillVerdict, Evidence, Finding
from koboshi.drills.ingest.poison_records import DRILL as POISON
from koboshi.drills.ingest.poison_records import miscounted
from koboshi.drills.junit import publish_junit
from koboshi.drills.report import Report
from koboshi.drills.workload import SOUND
from koboshi.errors import NotConfigured
from koboshi.formats.manifest import DatasetRef, open_verified, seal
from koboshi.project.project import Project, load_project
from koboshi.project.scaffold import make_project
from koboshi.settings import Settings, load_settings
from koboshi.training.spec import make_unit

OWN = """
import dataclasses

from koboshi.drills.serving.replica_killed import DRILL as LIKE

DRILL = dataclasses.replace(LIKE, name={name!r})
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project, with a dataset of a few rows."""
    folder = tmp_path / "drilled_project"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    for name in ("drilled_project", "drills", "drills.mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    make_project(folder)
    table = folder / "data" / "table"
    table.mkdir(parents=True)
    rows = {"ride": range(50), "hour": [n % 24 for n in range(50)], "heat": [n / 2 for n in range(50)]}
    pl.DataFrame({**rows, "rentals": [10 * n for n in range(50)]}).write_parquet(table / "rows.parquet")
    seal(table)
    return load_project(folder, "drilled_project")


@pytest.fixture
def settings(project: Project) -> Settings:
    return load_settings(project.folder)


def test_its_sample_records_and_its_decoder_make_the_stream(settings: Settings, tmp_path: Path) -> None:
    stream = stream_of(settings)
    meant = stream.records(120, 1_000)
    batch = RawBatch("rentals", 0, range(len(meant)), [one.key for one in meant], [one.value for one in meant])
    decoded = stream.decode([batch], tmp_path)
    assert list(miscounted({(0, offset): record for offset, record in enumerate(meant)}, decoded)) == []
    assert len([one for one in meant if one.kind == SOUND]) == 120
    assert len([one for one in meant if one.fate == "dead letter"]) == len(UNDECODABLE) + TRUNCATED + 1
    assert len({one.kind for one in meant} - {SOUND}) == POISON.faults


def test_a_value_that_its_decoder_takes_is_meant_to_be_a_row(project: Project) -> None:
    project.topic("all", decode=bytes)(lambda: [("a", b"1")])
    project.topics = {"all": project.topics["all"]}
    kinds = {(one.kind, one.fate) for one in DeclaredStream(project).records(1, 10)}
    assert ("oversized", "row") in kinds
    assert ("undecodable", "dead letter") in kinds  # the record without a value


def test_its_units_are_trained_on_the_rows_of_its_dataset(
    project: Project, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty rows are repeated until there are enough for a step that can be hit."""
    monkeypatch.setattr("koboshi.drills.declared.LEAST_ROWS", 120)
    folder, workload = tmp_path / "copy", workload_of(settings)
    folder.mkdir()
    units = workload.prepare(project.folder, folder)
    unit = make_unit(units["trees"].factory, units["trees"].params)
    unit.start(DatasetRef(str(folder), open_verified(folder).sha256))
    unit.step(1)
    assert list(units) == ["trees", f"trees{AGAIN}"]
    predicted = workload.predict(f"trees{AGAIN}", unit.dump(), folder)
    model, rows = workload.fitted("trees", unit.dump(), folder)
    assert len(rows) == 150 // 5
    assert np.array_equal(predicted, model.predict(rows))


@pytest.mark.parametrize(
    ("lend", "said"), [(of_project, "declares no training"), (DeclaredStream, "declares no topic")]
)
def test_what_a_project_does_not_declare_is_named(tmp_path: Path, lend: Callable[[Project], Any], said: str) -> None:
    with pytest.raises(NotConfigured, match=said):
        lend(Project(tmp_path))


def test_a_project_without_its_dataset_is_told_to_run_first(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="koboshi run"):
        of_project(project).prepare(tmp_path, tmp_path)


def test_its_own_drills_are_found_beside_ours(project: Project, settings: Settings) -> None:
    (project.folder / "drills").mkdir(exist_ok=True)
    (project.folder / "drills" / "mine.py").write_text(OWN.format(name="mine"))
    assert named("mine", settings)[0].name == "mine"
    assert set(all_drills(settings)) == {*all_drills(), "mine"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (OWN.format(name="replica-killed"), "two drills named replica-killed"),
        ("1 / 0", "ZeroDivisionError"),
        ("DRILL = 3", "no koboshi.drills.Drill"),
        ("x = 3", "AttributeError"),
    ],
)
def test_a_drill_that_cannot_be_is_refused_in_one_sentence(
    project: Project, settings: Settings, source: str, said: str
) -> None:
    (project.folder / "drills").mkdir(exist_ok=True)
    (project.folder / "drills" / "mine.py").write_text(source)
    with pytest.raises(NotConfigured, match=said):
        all_drills(settings)


def judged(verdict: DrillVerdict) -> Report:
    outcome = DrillOutcome(verdict, [Finding("kept", False, "1 was lost")], [], Evidence())
    return Report("a-drill", "A claim.", "SIGKILL", "training", 0.0, 3.0, outcome, {}, {})


def test_verdicts_as_junit(tmp_path: Path) -> None:
    reports = [judged(verdict) for verdict in get_args(DrillVerdict)]
    publish_junit(tmp_path / "junit.xml", reports)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 (our own)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"]]
