"""The facts of a training, from a real git: commit, what is not committed, what differs from the committed numbers."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from koboshi.formats.manifest import DatasetRef
from koboshi.orchestration import workspaces
from koboshi.registry import facts as facts_module
from koboshi.registry.facts import facts_of
from tests.support.toy_project import toy_project

TABLE = DatasetRef("data/features", "5f" * 32)
PARAMS = "params.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Callable[[str], str]) -> Path:
    """A project in a folder of a repository, committed."""
    for name in [name for name in os.environ if name.startswith(("KOBOSHI_", "GIT_"))]:
        monkeypatch.delenv(name)
    folder = toy_project(tmp_path / "project")
    subprocess.run([tool("git"), "init", "--quiet", tmp_path], check=True)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def change(folder: Path, number: int) -> None:
    params = yaml.safe_load((folder / PARAMS).read_text())
    params["first"]["number"] = number
    (folder / PARAMS).write_text(yaml.safe_dump(params))


def test_a_clean_clone_has_its_commit_and_changes_nothing(project: Path) -> None:
    found = facts_of(project, TABLE)
    assert (found.project, found.dataset, found.dataset_sha256) == ("project", "features", "5f" * 32)
    assert found.commit == git(project, "rev-parse", "HEAD")
    assert (list(found.uncommitted), found.changed) == ([], {})


def test_what_is_not_committed_is_named_with_both_values(project: Path) -> None:
    """Files that git does not track are not among it."""
    before = yaml.safe_load((project / PARAMS).read_text())["first"]["number"]
    change(project, 77)
    (project / "notes.txt").write_text("mine")
    found = facts_of(project, TABLE)
    assert list(found.uncommitted) == [f"project/{PARAMS}"]
    assert found.changed == {"first.number": f"{before} → 77"}


def test_an_experiment_is_compared_with_the_commit_of_its_project(project: Path) -> None:
    """Its workspace is no part of the repository, wherever the state folder is."""
    before = yaml.safe_load((project / PARAMS).read_text())["first"]["number"]
    workspace = workspaces.choose(project, project.parent.parent / "state", {"first.number": 77})
    found = facts_of(workspace.folder, TABLE)
    assert found.changed == {"first.number": f"{before} → 77"}
    assert (found.project, found.commit) == ("project", git(project, "rev-parse", "HEAD"))


def test_without_a_commit_there_is_none_and_an_experiment_still_differs_from_its_project(
    project: Path, tmp_path: Path
) -> None:
    """Also where the project lies in somebody else's repository, which does not know it."""
    stranger = toy_project(tmp_path / "stranger")
    workspace = workspaces.choose(stranger, stranger / ".koboshi", {"first.number": 77})
    found = facts_of(workspace.folder, TABLE)
    assert (found.commit, list(found.uncommitted)) == ("", [])
    assert list(found.changed) == ["first.number"]
    assert facts_of(stranger, TABLE).changed == {}


@pytest.mark.parametrize("broken", ["no git", "slow git", "no YAML", "no folder"])
def test_what_cannot_be_found_out_is_left_out(project: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A training does not fail for it."""
    if broken == "no git":
        monkeypatch.setenv("PATH", "/nowhere")
    elif broken == "slow git":
        monkeypatch.setattr(facts_module, "ASK_S", 0.0)
    elif broken == "no YAML":
        (project / PARAMS).write_text("a: [")
    found = facts_of(project / "gone" if broken == "no folder" else project, TABLE, project / "no-journal.jsonl", "key")
    assert (found.dataset, found.changed, found.recovered) == ("features", {}, {})
    assert bool(found.commit) == (broken == "no YAML")
