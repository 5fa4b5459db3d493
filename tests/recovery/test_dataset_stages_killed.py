"""Killed at any change of a file, a stage leaves nothing that counts; run again, it ends the same."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from koboshi.datasets.build import open_verified
from koboshi.errors import BadInput
from tests.support.projects import ROOT, copy_project, run
from tests.support.small_stream import land_stream, small_stream

RUNNER = ROOT / "tests" / "support" / "killed_run.py"


def _run(project: Path, module: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, str(RUNNER), str(kill_at), str(project / "trace"), *module.split())
    return run(project, *words, PYTHONPATH=str(ROOT))


def _changes(project: Path) -> list[str]:
    return (project / "trace").read_text().splitlines()


def _killed_then_whole(project: Path, name: str, module: str, kill_at: int) -> str:
    """Kill a stage, look at what it left, and run it again; the digest of what is there in the end."""
    assert _run(project, module, kill_at).returncode == -signal.SIGKILL, f"change {kill_at} was not reached"
    folder = project / "data" / name
    try:
        open_verified(folder)
    except BadInput:
        assert not folder.exists(), f"half a dataset stands in its place after a kill at {kill_at}"
    assert _run(project, module).returncode == 0
    assert {path.name for path in (project / "data").iterdir()} == {name, f".{name}.lock"}, "something is left over"
    return open_verified(folder).sha256


@pytest.mark.parametrize("over", [False, True], ids=["on an empty place", "over a dataset"])
def test_a_build_killed_at_each_change_is_whole_or_not_there(tmp_path: Path, over: bool) -> None:
    """Over a dataset that is there, a kill may take it away; it never tears it."""
    module = "tests.support.tiny_stage"
    for _ in range(1 + over):
        assert _run(tmp_path, module).returncode == 0
    wanted, count = open_verified(tmp_path / "data" / "it").sha256, len(_changes(tmp_path))
    assert count >= 8, "the sweep would not reach the writes"
    for kill_at in range(1, count + 1):
        if not over:
            shutil.rmtree(tmp_path / "data")
        assert _killed_then_whole(tmp_path, "it", module, kill_at) == wanted


def test_a_snapshot_that_was_killed_comes_out_the_same(tmp_path: Path) -> None:
    """I4: at its first change, in the middle of its files, and at the rename that commits."""
    project = copy_project(tmp_path)
    land_stream(project, *small_stream(60, days=2), borders=[20])
    assert run(project, "koboshi", "pin").returncode == 0
    module = "pipelines.card_fraud snapshot"
    assert _run(project, module).returncode == 0
    wanted, changes = open_verified(project / "data" / "snapshot").sha256, _changes(project)
    commit = next(n for n, change in enumerate(changes, 1) if change.startswith("os.rename") and "-new" in change)
    for kill_at in (2, commit // 2, commit):
        shutil.rmtree(project / "data")
        assert _killed_then_whole(project, "snapshot", module, kill_at) == wanted
