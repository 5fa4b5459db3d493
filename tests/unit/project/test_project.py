"""Declarations, the files that are written from them, and the key of a training."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import koboshi
from koboshi.drills.catalogue import control_of, named
from koboshi.errors import BadInput, NotConfigured
from koboshi.formats.manifest import open_verified, seal
from koboshi.project import distributions, dvc_file, training_stage
from koboshi.project.code_file import codes
from koboshi.project.project import Project, load_project
from koboshi.project.promotion import judged_unit
from koboshi.project.scaffold import make_drill, make_project
from koboshi.settings import load_settings

UNITS = {"trees": koboshi.boosting(features=["hour"], label="bikes", steps=3)}


@pytest.fixture
def bikes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, as `koboshi init` makes it."""
    monkeypatch.syspath_prepend(str(tmp_path / "bikes_of_test"))
    monkeypatch.delitem(sys.modules, "bikes_of_test", raising=False)
    make_project(tmp_path / "bikes_of_test")
    return tmp_path / "bikes_of_test"


def test_a_new_project_has_what_a_pipeline_needs_in_thirty_and_five_lines(bikes: Path) -> None:
    assert len((bikes / "bikes_of_test.py").read_text().rstrip().splitlines()) <= 30
    code = [line for line in (bikes / "dags/bikes_of_test.py").read_text().splitlines() if line]
    assert len(code) <= 5
    assert (bikes / ".git").is_dir()
    assert (bikes / ".dvc/config").is_file()


def test_a_new_projects_dvc_yaml_is_as_declared_and_names_no_file_of_koboshi(bikes: Path) -> None:
    stages = yaml.safe_load((bikes / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["code", "table", "train", "evaluate"]
    assert stages["code"]["deps"] == ["bikes_of_test.py"]
    assert stages["train"]["deps"] == ["data/table"]
    assert dvc_file.is_current(load_project(bikes, "bikes_of_test"), "bikes_of_test")


def test_a_folder_that_is_not_empty_and_a_name_that_is_no_module_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    with pytest.raises(BadInput, match="is not empty"):
        make_project(tmp_path / "here")
    with pytest.raises(BadInput, match="Python module"):
        make_project(tmp_path / "2 bikes")


def trained_project(folder: Path, metric: Any = "r2", **changes: Any) -> Project:
    project = Project(folder)
    given: dict[str, Any] = {"on": "table", "units": UNITS, "metric": metric, **changes}
    project.train(**given)
    return project


def key_of(folder: Path, project: Project) -> str:
    assert project.training is not None
    table = open_verified(folder / "data" / "table")
    return training_stage.specified(project, project.training, load_settings(folder), table).key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "koboshi.toml").write_text("")
    (tmp_path / "own.py").write_text(
        "import math\n\n\nclass Trend:\n    def step(self, n):\n        return {'r2': 1.0}\n"
    )
    table = tmp_path / "data" / "table"
    table.mkdir(parents=True)
    write_rows(table, 10)
    return tmp_path


def write_rows(table: Path, rows: int) -> None:
    pl.DataFrame({"hour": range(rows), "bikes": range(rows)}).write_parquet(table / "rows.parquet")
    seal(table)


class TestTheKey:
    """It changes with each thing that decides the outcome, and with nothing else (I6)."""

    def test_it_changes_with_the_dataset(self, folder: Path) -> None:
        before = key_of(folder, trained_project(folder))
        write_rows(folder / "data" / "table", 11)
        assert key_of(folder, trained_project(folder)) != before

    @pytest.mark.parametrize(
        "changes",
        [
            {"units": {"trees": koboshi.boosting(features=["hour"], label="bikes", steps=4)}},
            {"units": {"trees": koboshi.boosting(features=["hour"], label="bikes", steps=3, learning_rate=0.3)}},
            {"units": {"trees": koboshi.forest(features=["hour"], label="bikes", steps=3)}},
            {"units": {"other": UNITS["trees"]}},
            {"held_out": 0.3},
            {"threads": 2},
        ],
    )
    def test_it_changes_with_parameters_and_threads(self, folder: Path, changes: Mapping[str, Any]) -> None:
        assert key_of(folder, trained_project(folder, **changes)) != key_of(folder, trained_project(folder))

    def test_it_changes_with_the_units_code_and_not_with_a_comment_or_another_function(self, folder: Path) -> None:
        unit = dataclasses.replace(UNITS["trees"], factory="own:Trend", ready_made=False)
        before = key_of(folder, trained_project(folder, units={"trend": unit}))
        source = folder / "own.py"
        source.write_text("# a comment\n" + source.read_text() + "\n\ndef other():\n    return 1\n")
        assert key_of(folder, trained_project(folder, units={"trend": unit})) == before
        source.write_text(source.read_text().replace("1.0", "2.0"))
        assert key_of(folder, trained_project(folder, units={"trend": unit})) != before

    def test_it_changes_with_the_version_of_what_a_unit_imports_and_of_nothing_else(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, versions = key_of(folder, trained_project(folder)), distributions.versions_of

        def after(name: str) -> str:
            monkeypatch.setattr("koboshi.project.code_graph.versions_of", lambda m: with_version(versions(m), name))
            return key_of(folder, trained_project(folder))

        assert after("scipy") != before
        assert after("koboshi") != before
        assert after("apache-airflow") == before

    def test_it_changes_with_the_durable_formats(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = key_of(folder, trained_project(folder))
        for name in training_stage.FORMAT_VERSIONS:
            changed = {**training_stage.FORMAT_VERSIONS, name: 99}
            monkeypatch.setattr(training_stage, "FORMAT_VERSIONS", changed)
            assert key_of(folder, trained_project(folder)) != before

    def test_it_does_not_change_with_the_metric_or_what_is_served(self, folder: Path) -> None:
        other = trained_project(folder, "neg_mean_absolute_error", max_drop=0.5)
        other.serve("trees")
        assert key_of(folder, other) == key_of(folder, trained_project(folder))


def with_version(found: dict[str, str], name: str) -> dict[str, str]:
    return {**found, name: "99"} if name in found else found


def absolute_error(truth: Any, predicted: Any) -> float:
    return -float(np.abs(truth - predicted).mean())


def test_editing_the_metric_changes_the_entry_of_evaluate_alone(folder: Path) -> None:
    before, after = codes(trained_project(folder)), codes(trained_project(folder, absolute_error))
    assert before["train"] == after["train"]
    assert before["evaluate"] != after["evaluate"]
    assert json.dumps(after)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"units": {}}, "no units"),
        ({"held_out": 0}, "held_out"),
        ({"held_out": 1.0}, "held_out"),
        ({"threads": 0}, "threads"),
        ({"metric": 3}, "metric"),
    ],
)
def test_a_training_that_cannot_be_is_refused_where_it_is_declared(folder: Path, given: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        trained_project(folder, **{"metric": "r2", **given})


def test_a_stage_of_a_name_that_is_koboshis_and_a_dependency_that_is_nowhere_are_refused(folder: Path) -> None:
    project = Project(folder)

    def train(out: Path) -> None: ...

    def table(out: Path) -> None: ...

    with pytest.raises(BadInput, match="choose another one"):
        project.stage(deps=[])(train)
    project.stage(deps=["nowhere.csv"])(table)
    with pytest.raises(BadInput, match=r"nowhere.csv, which is neither a stage nor a file"):
        dvc_file.rendered(project, "flow")


@pytest.mark.parametrize(
    ("on", "served", "said"), [("nowhere", None, "which is no stage"), ("table", "nobody", "name one of trees")]
)
def test_declarations_that_do_not_fit_together_are_refused(
    folder: Path, on: str, served: str | None, said: str
) -> None:
    project = trained_project(folder, on=on)

    def table(out: Path) -> None: ...

    project.stage(deps=[])(table)
    project.serve(served)
    with pytest.raises(BadInput, match=said):
        project.run_stage(["train"])


@pytest.mark.parametrize(
    ("source", "said"),
    [("1 / 0", "ZeroDivisionError"), ("x = 1", "0 projects"), ("import nothing_like_this", "nothing")],
)
def test_a_module_that_cannot_be_imported_is_named_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"flow_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(NotConfigured, match=said):
        load_project(tmp_path, name)


def test_the_newest_rows_are_kept_for_judging(folder: Path) -> None:
    from koboshi.project.judging import held_out_rows, score

    project = trained_project(folder)
    assert project.training is not None
    rows = held_out_rows(project.training, UNITS["trees"], open_verified(folder / "data" / "table"))
    assert rows.labels.tolist() == [8, 9]
    with pytest.raises(BadInput, match="no scorer"):
        score("nonsense", None, rows)


def test_a_new_drill_is_twenty_lines_with_its_control_and_is_found(
    bikes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("drills", "drills.replica_lost"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    path = make_drill(bikes, "replica-lost")
    assert len(path.read_text().splitlines()) <= 20
    settings = load_settings(bikes)
    (drill,) = named("replica-lost", settings)
    assert control_of(drill, settings).verdict == drill.verdict
    assert control_of(drill, settings).environment is not drill.environment
    with pytest.raises(BadInput, match="there already"):
        make_drill(bikes, "replica-lost")
    with pytest.raises(NotConfigured, match="no CONTROL"):
        control_of(*named("replica-killed", settings), settings)


def test_an_evaluation_of_another_training_is_not_promoted(folder: Path) -> None:
    for stage, file in (("train", "training.json"), ("evaluate", "evaluation.json")):
        (folder / "data" / stage).mkdir()
        (folder / "data" / stage / file).write_text(json.dumps({"key": stage, "best": "trees"}))
        seal(folder / "data" / stage)
    with pytest.raises(BadInput, match="another training"):
        judged_unit(Project(folder))
    (folder / "data" / "train" / "training.json").write_text(json.dumps({"key": "evaluate"}))
    seal(folder / "data" / "train")
    assert judged_unit(Project(folder)) == ("evaluate", "trees")


class TestWhatIsGivenAsAFunction:
    """It is called when a stage runs, and not where it is declared: so it may read params.yaml."""

    def test_units_threads_and_the_bound_are_asked_for_late_and_once(self, folder: Path) -> None:
        asked = []

        def units() -> Any:
            asked.append("units")
            return UNITS

        training = trained_project(folder, units=units, threads=lambda: 3, max_drop=lambda: 0.1).training
        assert training is not None
        assert asked == []
        assert (training.units, training.units, training.threads, training.max_drop) == (UNITS, UNITS, 3, 0.1)
        assert asked == ["units"]

    @pytest.mark.parametrize(
        ("given", "name", "said"),
        [({"units": dict}, "units", "no units"), ({"threads": lambda: 0}, "threads", "threads = 0")],
    )
    def test_what_does_not_fit_is_refused_then(self, folder: Path, given: Any, name: str, said: str) -> None:
        training = trained_project(folder, **given).training
        with pytest.raises(BadInput, match=said):
            getattr(training, name)


def test_a_rejected_dataset_is_published_and_the_stage_fails(folder: Path) -> None:
    project = Project(folder)

    def validated(out: Path) -> None:
        (out / "report.txt").write_text("two rows are wrong")
        raise koboshi.Rejected("the rows are not good enough.")

    project.stage(deps=[])(validated)
    with pytest.raises(koboshi.Rejected, match="not good enough"):
        project.run_stage(["validated"])
    assert open_verified(folder / "data/validated").path("report.txt").read_text() == "two rows are wrong"


def test_what_a_person_writes_beside_the_stages_of_dvc_yaml_stays(folder: Path) -> None:
    project = trained_project(folder)
    (folder / "dvc.yaml").write_text("plots:\n- curve.csv:\n    x: hour\nstages: {old: {}}\n")
    assert dvc_file.sync(project, "flow")
    written = yaml.safe_load((folder / "dvc.yaml").read_text())
    assert written["plots"] == [{"curve.csv": {"x": "hour"}}]
    assert list(written["stages"]) == ["code", "train", "evaluate"]
    assert not dvc_file.sync(project, "flow")


def test_a_block_of_params_is_checked_by_a_model(folder: Path) -> None:
    class Numbers(koboshi.Params):
        steps: int

    (folder / "params.yaml").write_text("train: {steps: 3}\nother: 5\n")
    project = Project(folder)
    assert project.params("train") == {"steps": 3}
    assert project.params("train", Numbers).steps == 3
    for block, said in (("other", "a table of names and values is wanted"), ("tran", "did you mean")):
        with pytest.raises(BadInput, match=said):
            project.params(block)


def test_a_project_that_was_imported_from_elsewhere_works_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An experiment's workspace, or a stack's own copy, imports the module wherever Python finds it first."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "asked").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere" / "flow_of_elsewhere.py").write_text("import koboshi\nproject = koboshi.Project.find()\n")
    assert load_project(tmp_path / "asked", "flow_of_elsewhere").folder == tmp_path / "asked"
