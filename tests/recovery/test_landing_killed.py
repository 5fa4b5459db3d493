"""I1, I2, I3: a lander killed at any of its writes, or racing another one, leaves what the next run completes."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from koboshi.files import TEMPORARY_PREFIX
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.orphans import sweep
from koboshi.ledger import spans
from tests.support.land_memory_stream import LENGTHS, lander_into
from tests.support.memory_stream import MemoryBroker

ROOT = Path(__file__).parents[2]
# The publishing of a file, and SQLite's commits: every call after which the disk says something new for good.
WRITES = ("fsync", "rename", "fdatasync")
MOST_KILLS = 6


def command(state_dir, holder="killed", lease_s=0.5):
    return [sys.executable, "-m", "tests.support.land_memory_stream", str(state_dir), holder, str(lease_s)]


def run(words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)


def content_of(state_dir):
    lander = lander_into(state_dir, "reader")
    landed = spans.committed(lander.ledger, "t")
    lander.ledger.close()
    return landed


def verdicts(lander):
    return {
        v.partition: v.outcome
        for v in audit_topic(MemoryBroker(lander.source), lander.state_dir, spans.committed(lander.ledger, "t"))
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The spans of a lander that nobody kills."""
    state_dir = tmp_path_factory.mktemp("undisturbed")
    assert run(command(state_dir)).returncode == 0
    return content_of(state_dir)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """How often an unkilled lander makes each of the calls."""
    if not (strace := next((p for p in map(Path, ("/usr/bin/strace", "/bin/strace")) if p.exists()), None)):
        return None
    folder = tmp_path_factory.mktemp("trace")
    done = run(
        [str(strace), "-f", "-o", str(folder / "log"), "-e", f"trace={','.join(WRITES)}", *command(folder / "s")]
    )
    assert done.returncode == 0, done.stderr
    return Counter(re.findall(r"^\d+ +(\w+)\(", (folder / "log").read_text(), re.MULTILINE))


@pytest.mark.parametrize("call", WRITES)
def test_killed_before_any_write_the_next_run_completes_the_landing(call, trace, undisturbed, tool, tmp_path):
    """SIGKILL before the N-th call, for each N of an unkilled run (SQLite's many syncs: for N spread over it).

    Afterwards there are the same spans with the same bytes.
    """
    strace = tool("strace")
    assert trace[call] > 0
    for number in range(1, trace[call] + 1, -(-trace[call] // MOST_KILLS)):
        state_dir = tmp_path / str(number)
        kill = f"inject={call}:signal=SIGKILL:when={number}"
        done = run([strace, "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", kill, *command(state_dir)])
        assert done.returncode in (-9, 137), f"{call} {number} did not kill: {done.stderr}"
        lander = lander_into(state_dir, "next")
        lander.land_topic("t")
        assert spans.committed(lander.ledger, "t") == undisturbed
        assert verdicts(lander) == dict.fromkeys(range(len(LENGTHS)), "equal")
        _check_only_named_files_stay(lander)
        lander.ledger.close()


def _check_only_named_files_stay(lander):
    """What the killed lander left is swept once it is old enough: nothing else is in the folders."""
    named = {lander.state_dir / span.path for span in spans.committed(lander.ledger, "t")}
    for partition in range(len(LENGTHS)):
        for orphan in sweep(lander.ledger, lander.state_dir, Path("spans/t") / str(partition), "t", grace_s=-1):
            assert orphan.name.startswith(TEMPORARY_PREFIX)
    assert set((lander.state_dir / "spans").rglob("*.*")) == named


def test_landers_at_once_land_each_offset_once(undisturbed, tmp_path):
    """Three processes on one state folder: they wait for each other; each range is committed once."""
    running = [
        subprocess.Popen(command(tmp_path, f"lander-{number}", 30), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
    assert [code for _, code in ends] == [0, 0, 0], ends
    assert content_of(tmp_path) == undisturbed
