"""DVC's side of a backup: cut, lock, cache and datasets come back so that `dvc repro` has nothing to do."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from koboshi.backup import restoring
from koboshi.backup.restoring import restore
from koboshi.errors import Conflict
from koboshi.events import in_words, unheard
from koboshi.settings import Settings
from tests.support.backed_up import backup_of, empty_project, filled_project

DVC_YAML = """
stages:
  one:
    cmd: mkdir -p data/one && cp cut.json data/one/cut && wc -c < cut.json > metrics.json
    deps: [cut.json]
    outs: [data/one]
    metrics: [metrics.json: {cache: false}]
  never-run:
    cmd: "false"
    deps: [data/one]
    outs: [data/two]
"""
CONFIGURATION = "[core]\n no_scm = true\n analytics = false\n site_cache_dir = .koboshi/dvc/site\n"
CONFIGURATION += "[cache]\n dir = ../.koboshi/dvc/cache\n"


def with_dvc(settings: Settings) -> Settings:
    """What git would bring."""
    (settings.project / ".dvc").mkdir()
    (settings.project / ".dvc" / "config").write_text(CONFIGURATION)
    (settings.project / "dvc.yaml").write_text(DVC_YAML)
    return settings


def name_what_was_never_made(settings: Settings) -> None:
    """The lock came from git, and only its first stage was run here."""
    lock = settings.project / "dvc.lock"
    more = {"cmd": "false", "outs": [{"path": "data/two", "md5": "0" * 32 + ".dir", "size": 1}]}
    stages = yaml.safe_load(lock.read_text())
    lock.write_text(yaml.safe_dump({**stages, "stages": {**stages["stages"], "never-run": more}}))


def dvc(settings: Settings, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=settings.project, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = with_dvc(filled_project(tmp_path_factory.mktemp("original")))
    dvc(settings, "repro", "one")
    name_what_was_never_made(settings)
    return settings


@pytest.fixture(scope="module")
def made(original: Settings) -> Path:
    return backup_of(original, original.project / "made.backup")


def outputs(settings: Settings) -> list[bytes]:
    return [(settings.project / name).read_bytes() for name in ("dvc.lock", "metrics.json", "data/one/cut")]


def test_a_restore_that_was_killed_at_checking_out_is_finished(
    original: Settings, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written dataset is no obstacle; then `dvc repro` does nothing."""
    clone = with_dvc(empty_project(tmp_path / "clone"))

    def killed(project: Path, *_: object) -> None:
        (project / "data" / "one").mkdir(parents=True)
        (project / "data" / "one" / "cut").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_check_out", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(clone, made, unheard)
    said: list[str] = []
    restore(clone, made, in_words(said.append))
    assert said == ["finishing the restore that was interrupted here", "checking out data/one"]
    assert outputs(clone) == outputs(original)
    again = dvc(clone, "repro", "one")
    assert "didn't change, skipping" in again
    assert "Running stage" not in again


def test_datasets_that_are_there_are_left_alone(made: Path, tmp_path: Path) -> None:
    clone = with_dvc(empty_project(tmp_path / "clone"))
    (clone.project / "data" / "one").mkdir(parents=True)
    (clone.project / "data" / "one" / "cut").write_text("mine")
    with pytest.raises(Conflict, match="data/one is there already: restore into a new clone, or move it away first"):
        restore(clone, made, unheard)
    assert (clone.project / "data" / "one" / "cut").read_text() == "mine"
    assert not (clone.project / "dvc.lock").exists()
    assert not (clone.state_dir / "dvc").exists()
