"""Where a run works, and that an experiment leaves the project as it is."""

from pathlib import Path

import pytest
import yaml

from koboshi.errors import BadInput
from koboshi.files import tree_digest
from koboshi.orchestration import workspaces
from tests.support.toy_project import toy_project

STATE = ".koboshi"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two stages."""
    return toy_project(tmp_path / "project")


def choose(project: Path, **wanted: object) -> workspaces.Workspace:
    """Names with a dot are given with two underscores."""
    return workspaces.choose(project, project / STATE, {name.replace("__", "."): v for name, v in wanted.items()})


def test_without_changes_the_project_itself_is_the_workspace(project: Path) -> None:
    """Empty fields of the trigger form are no experiment."""
    assert choose(project, first__number=None) == workspaces.Workspace("project", project)
    assert not (project / STATE).exists()


def test_changed_parameters_get_a_folder_of_their_own(project: Path) -> None:
    """It has what the stages name, the changed parameters, and the project's cache by absolute path."""
    before = tree_digest(project)
    workspace = choose(project, first__number=7)
    assert workspace.folder == project / STATE / "workspaces" / workspace.name
    assert {p.name for p in workspace.folder.iterdir()} == {
        ".dvc", "cut.json", "dvc.yaml", "koboshi.toml", "params.yaml", "steps"
    }  # fmt: skip
    params = yaml.safe_load((workspace.folder / "params.yaml").read_text())
    assert params["first"] == {"number": 7, "rate": 1e-05, "ends": "fine"}
    assert f"dir = {project / STATE / 'dvc' / 'cache'}" in (workspace.folder / ".dvc/config.local").read_text()
    (project / STATE / "workspaces").rename(project.parent / "elsewhere")
    (project / STATE / ".gitignore").unlink()
    (project / STATE).rmdir()
    assert tree_digest(project) == before


def test_the_same_changes_find_the_same_folder_brought_up_to_date(project: Path) -> None:
    """A new cut and mended code arrive, deleted code goes; the experiment's dvc.lock is its own and stays."""
    (project / "dvc.lock").write_text("of the project")
    (project / "steps/old.py").touch()
    (project / "steps/deep").mkdir()
    first = choose(project, first__number=7)
    assert (first.folder / "dvc.lock").read_text() == "of the project"
    (first.folder / "dvc.lock").write_text("of the experiment")
    untouched = (first.folder / "steps/first.py").stat()
    (project / "cut.json").write_text('{"moved": 1}')
    (project / "steps/old.py").unlink()
    (project / "steps/deep").rmdir()
    assert choose(project, first__number=7) == first
    assert (first.folder / "cut.json").read_text() == '{"moved": 1}'
    assert not (first.folder / "steps/old.py").exists()
    assert not (first.folder / "steps/deep").exists()
    assert (first.folder / "dvc.lock").read_text() == "of the experiment"
    assert (first.folder / "steps/first.py").stat().st_mtime_ns == untouched.st_mtime_ns


def test_an_experiment_tells_what_it_changes(project: Path) -> None:
    """Beside the project as it is now; the project itself, and a folder that is nobody's copy, change nothing."""
    made = choose(project, first__number=7)
    (change,) = workspaces.told_changes(made).items()
    assert change == ("first.number", f"{yaml.safe_load((project / 'params.yaml').read_text())['first']['number']} → 7")
    assert workspaces.told_changes(workspaces.Workspace("project", project)) == {}
    (made.folder / ".dvc/project").unlink()
    assert workspaces.told_changes(made) == {}


def test_two_experiments_do_not_meet(project: Path) -> None:
    """Other changes, other folder."""
    assert choose(project, first__number=7).folder != choose(project, first__number=8).folder


def test_what_does_not_fit_makes_no_folder(project: Path) -> None:
    """Bad input changes nothing."""
    with pytest.raises(BadInput, match=r"no first\.nix"):
        choose(project, first__nix=1)
    assert not (project / STATE).exists()


def test_what_is_copied_is_what_stages_need_and_do_not_make() -> None:
    """Paths may carry options; outputs, metrics and plots are made, whatever file below them is named."""
    stage = {
        "deps": ["src/a.py", {"cut.json": {"hash": "md5"}}, "data/x/part"],
        "outs": [{"data/y": {"cache": False}}, "data/x"],
        "metrics": [{"metrics.json": {"cache": False}}],
        "plots": ["plots/p.json"],
    }
    assert workspaces.sources({"stages": {"s": stage, "t": {"deps": ["metrics.json"]}}}) == ["cut.json", "src"]
    assert workspaces.sources({}) == []


def test_a_workspace_is_found_by_name(project: Path) -> None:
    """The promotion is told a name only."""
    made = choose(project, first__number=7)
    assert workspaces.find(project, project / STATE, made.name) == made
    assert workspaces.find(project, project / STATE, "project").folder == project
    with pytest.raises(BadInput, match="run the DAG `train` first"):
        workspaces.find(project, project / STATE, "feedfeedfeedfeed")


@pytest.mark.parametrize("name", ["..", "../../escape", "/etc", "", "a/b", "a\0b"])
def test_a_name_from_the_form_that_leads_elsewhere_is_refused(project: Path, name: str) -> None:
    """Also where a pipeline is at the other end: it is never run from there."""
    (project / "dvc.yaml").rename(project.parent / "dvc.yaml")
    with pytest.raises(BadInput, match="the workspace"):
        workspaces.find(project, project / STATE, name)


def test_an_experiment_copies_nothing_from_outside_of_the_project(project: Path) -> None:
    """`..` would copy the folder above over the other experiments; what is the same from everywhere is not copied."""
    pipeline = {"stages": {"s": {"deps": ["/data/x.csv", "s3://bucket/x", "steps/a.py", {"b.csv": None}], "outs": []}}}
    assert workspaces.sources(pipeline) == ["b.csv", "steps"]
    pipeline["stages"]["s"]["deps"] = ["../shared/x.csv"]
    with pytest.raises(BadInput, match=r"in dvc\.yaml the dependency '\.\./shared/x\.csv' leads to another folder"):
        workspaces.sources(pipeline)
