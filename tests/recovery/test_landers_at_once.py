"""I1, I3: landers that race on one partition land each offset once. For landers that die, see test_crash_points.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from koboshi.ledger import spans
from tests.support.land_memory_stream import lander_into

ROOT = Path(__file__).parents[2]


def command(state_dir, holder, lease_s=30.0):
    return [sys.executable, "-m", "tests.support.land_memory_stream", str(state_dir), holder, str(lease_s)]


def content_of(state_dir):
    lander = lander_into(state_dir, "reader")
    landed = spans.committed(lander.ledger, "t")
    lander.ledger.close()
    return landed


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The spans of a lander that nobody is in the way of."""
    state_dir = tmp_path_factory.mktemp("alone")
    subprocess.run(command(state_dir, "alone"), cwd=ROOT, check=True, timeout=60)
    return content_of(state_dir)


def test_landers_at_once_land_each_offset_once(alone, tmp_path):
    """Three processes on one state folder: they wait for each other; each range is committed once."""
    running = [
        subprocess.Popen(command(tmp_path, f"lander-{number}"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
    assert [code for _, code in ends] == [0, 0, 0], ends
    assert content_of(tmp_path) == alone
