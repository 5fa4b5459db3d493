"""`make test-unit` leaves no test out and runs none twice: asked of pytest, whose paths and `--ignore` interact."""

import subprocess
import sys

import pytest

from tools.run_tests import ROOT
from tools.run_unit_tests import FOLDER, commands

pytestmark = pytest.mark.usefixtures("unmeasured")


def collected(command: list[str]) -> list[str]:
    """One line for each file: sessions share out files, and to import them takes as long as their tests."""
    command = [*command, "-p", "tests.support.unread_modules", "--collect-only"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_each_test_is_in_exactly_one_session() -> None:
    sessions = [test for command in commands([]) for test in collected(command)]
    assert sessions
    assert sorted(sessions) == sorted(collected([sys.executable, "-m", "pytest", "-q", str(FOLDER)]))


def test_what_is_asked_for_goes_to_both() -> None:
    assert all("--exitfirst" in command for command in commands(["--exitfirst"]))
