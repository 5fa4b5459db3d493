"""I1 to I5 at every crash point of the commit paths: whatever stops them, wherever, the next run ends the same.

The points are counted in an undisturbed run, so that a new write or statement is swept without a change here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system_calls import FAULTS, SIGKILL

ROOT = Path(__file__).parents[2]
# One thread from the start: what is forked may hold no lock of another one.
ALONE = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
EVERYTHING = [*(word for fault in FAULTS for word in ("--fault", fault)), "--statements"]


@pytest.fixture
def sweep(tool, lacking, tmp_path):
    """Sweep a scene of tests/support, by default of crash_scenes.py, and return what came out."""

    def run(scene, *words):
        out = tmp_path / "out.json"
        module, _, scene = scene.rpartition(":")
        where = [
            f"tests.support.{module or 'crash_scenes'}:{scene}",
            str(tmp_path / scene),
            str(out),
            "--strace",
            tool("strace"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.crash_sweep", *where, *words],
            cwd=ROOT,
            # Without coverage: it writes files of its own, which would be crash points.
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")} | ALONE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        found = json.loads(out.read_text())
        if reason := found.get("may_not_trace"):
            lacking(f"strace may not attach to a process ({reason}): allow ptrace, in a container with CAP_SYS_PTRACE")
        return found

    return run


def told(outcome):
    """Whether a fault ended in an error, and not unnoticed."""
    return outcome["end"][1] is not None and outcome["end"][1][0] == 75


def wrong(outcome):
    """What is wrong with how a crash point came out, each in a sentence that begins with the point."""
    found = [f"right after, {finding}" for finding in outcome["right_after"]]
    if not outcome["fired"]:
        found.append("the fault was never there")
    found += _wrong_end(outcome["point"], *outcome["end"])
    if outcome["again"] != [0, ""]:
        found.append(f"the next run ended with {outcome['again']}")
    found += [f"in the end, {finding}" for finding in outcome["at_the_end"]]
    if not outcome["same"]:
        found.append(f"the end is not that of an undisturbed run: {outcome['state']}")
    return [f"{outcome['point']}: {finding}" for finding in found]


def _wrong_end(point, code, answer):
    """A killed process says nothing; one whose disk fails ends well, or with 75 and one sentence of what to do."""
    if point.startswith(SIGKILL):
        return [] if code == -9 else [f"it was not killed, it ended with {code}"]
    if code != 0:
        return [f"it ended with {code}"]
    exit_code, said = answer
    if (exit_code, said) == (0, ""):
        return []
    if exit_code == 75 and said.count("\n") == 1 and said.rstrip().endswith("again."):
        return []
    return [f"it ended with {exit_code} and {said!r}"]


def all_wrong(found):
    return [finding for outcome in found["outcomes"] for finding in wrong(outcome)]


@pytest.mark.parametrize(
    ("scene", "calls_in_it"),
    [
        ("LandOneSpan", {"openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink"}),
        ("CommitOneStep", {"openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink"}),
        ("outbox_scene:KeepATraining", {"openat", "write", "fsync", "rename", "unlink"}),
        ("OpenTheLedger", {"openat", "mkdir", "pwrite64", "fdatasync", "unlink"}),
    ],
)
def test_stopped_at_any_crash_point_the_next_run_ends_as_if_nothing_had_been(scene, calls_in_it, sweep, capsys):
    """I1 to I5, right after the crash and in the end; the same rows, the same bytes; a failing disk is told as one.

    Points: SIGKILL before, EIO and ENOSPC from each system call that changes the disk; SIGKILL before and after each
    statement of the ledger. And what a kill cannot show: files are synced before they are named, names before rows.
    """
    found = sweep(scene, *EVERYTHING)
    calls, moments, outcomes = found["calls"], found["moments"], found["outcomes"]
    assert {call.split()[0] for call in calls} >= calls_in_it
    assert {outcome["point"] for outcome in outcomes} == set(found["points"])
    assert len(outcomes) == len(calls) * len(FAULTS) + len(moments)
    assert all_wrong(found) == []
    assert found["unsafe_under_power_loss"] == []
    with capsys.disabled():
        sys.stdout.write(
            f"\n{scene}: {len(outcomes)} crash points ({len(calls)} system calls, each with {', '.join(FAULTS)}; "
            f"{len(moments)} moments of the ledger), {sum(map(told, outcomes))} told as an error\n"
        )


def test_a_first_landing_that_finds_nothing_left_records_where_it_begins_whenever_it_is_stopped(sweep):
    """I1: recorded whole or not yet, and the next one ends the same; SIGKILL around the row and each commit."""
    found = sweep("BeginWithNothingLeft", "--statements", "--only", "beginnings|COMMIT")
    assert sum("INSERT INTO beginnings" in point for point in found["points"]) == 2
    assert sum("COMMIT" in point for point in found["points"]) >= 8
    assert all_wrong(found) == []


def test_a_lander_that_writes_its_row_before_the_file_has_its_name_is_caught(sweep):
    """The control of the landing's sweep: refuted at the renaming, by I2; and for its syncs and an unforeseen error."""
    found = sweep("LandTheRowFirst", "--fault", SIGKILL, "--fault", "EIO", "--only", "rename")
    (renaming,) = (call for call in found["calls"] if call.startswith("rename"))
    refuted = all_wrong(found)
    for when in ("right after", "in the end"):
        (finding,) = (line for line in refuted if line.startswith(f"SIGKILL at {renaming}: {when}, I2: "))
        assert finding.endswith(".parquet is committed and not there")
    assert any(line.startswith(f'EIO at {renaming}: it ended with 75 and "enter: OSError: ') for line in refuted)
    assert [line.split(".parquet ")[1] for line in found["unsafe_under_power_loss"]] == [
        "got its name before its bytes were synced",
        "was committed before its name was synced",
    ]


def test_a_driver_that_commits_before_the_workers_file_is_there_is_caught(sweep):
    """The control of the step's sweep: refuted after the commit, by I2, before the next driver mends it."""
    found = sweep("CommitBeforeTheFile", "--statements", "--only", "COMMIT")
    refuted = [line for line in all_wrong(found) if "right after, I2: 0004-" in line]
    assert refuted != []
    assert all(line.startswith("SIGKILL ") and "COMMIT (moment" in line for line in refuted)
