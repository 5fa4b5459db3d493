"""A restore that is killed, or whose disk fails, at any move: nothing is half there, and the next one ends it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from koboshi.backup.making import pieces
from tests.support.backed_up import empty_project

ROOT = Path(__file__).parents[2]
ALONE = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# The mark that everything is verified, the cut, and the end, beside one move for each piece.
OTHER_MOVES = 3


def test_a_restore_that_is_stopped_at_any_move_is_finished_by_the_next(tool, lacking, tmp_path: Path) -> None:
    """Right after, nothing is there, or the ledger is not yet, or everything is; in the end all is as backed up."""
    out = tmp_path / "out.json"
    words = ["tests.support.restore_scene:RestoreABackup", str(tmp_path / "sweep"), str(out), "--only", "rename"]
    words += ["--strace", tool("strace"), "--fault", "SIGKILL", "--fault", "ENOSPC"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.crash_sweep", *words],
        cwd=ROOT,
        # Without coverage: it writes files of its own, which would be crash points.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")} | ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = json.loads(out.read_text())
    if reason := found.get("may_not_trace"):
        lacking(f"strace may not attach to a process ({reason}): allow ptrace, in a container with CAP_SYS_PTRACE")
    assert len(found["outcomes"]) == 2 * (len(pieces(empty_project(tmp_path / "any"))) + OTHER_MOVES)
    for outcome in found["outcomes"]:
        assert outcome["fired"], outcome
        code, answer = outcome["end"]
        assert code == -9 or (answer[0] == 75 and "make room, then run it again" in answer[1]), outcome
        assert (outcome["right_after"], outcome["again"]) == ([], [0, ""]), outcome
        assert (outcome["at_the_end"], outcome["same"]) == ([], True), outcome
