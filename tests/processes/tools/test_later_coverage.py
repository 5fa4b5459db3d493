"""A process of a stack is measured from when it imports koboshi, and pays nothing for coverage before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from tests.support import later_coverage
from tests.support.later_coverage import CONFIGURATION, LATER
from tests.support.running_stack import REPOSITORY

MEASURE = "import os; print(os.environ['COVERAGE_PROCESS_CONFIG'])"
OURS = "from koboshi.refs import SpanRange; SpanRange('t', 'id', 0, 0, 1)"
CHILD = f"import koboshi.errors, subprocess, sys; subprocess.run([sys.executable, '-c', {OURS!r}], check=True)"
THIRD = "import json, sys; assert 'coverage' not in sys.modules"
FORKED = f"import os\nif (pid := os.fork()): os.waitpid(pid, 0)\nelse:\n {OURS}\n os._exit(0)"


@pytest.fixture
def run(tmp_path: Path):
    """Run a program as a part of the stack; the files of koboshi that were measured."""
    shutil.copy(later_coverage.__file__, tmp_path / "sitecustomize.py")
    rest = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    measured = rest | {"COVERAGE_FILE": str(tmp_path / "measured")}
    (tmp_path / "measure.py").write_text(MEASURE)
    words = [sys.executable, "-m", "coverage", "run", f"--rcfile={REPOSITORY}/pyproject.toml", "measure.py"]
    told = subprocess.run(words, env=measured, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    def run(program: str) -> set[str]:
        environment = measured | {"PYTHONPATH": str(tmp_path), CONFIGURATION: "", LATER: told.strip()}
        subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True)
        found: set[str] = set()
        for file in tmp_path.glob("measured.*"):
            data = coverage.CoverageData(str(file))
            data.read()
            found |= {Path(name).name for name in data.measured_files() if data.lines(name)}
        return found

    return run


@pytest.mark.parametrize("program", [OURS, CHILD, FORKED], ids=["itself", "its child", "its fork"])
def test_what_imports_koboshi_is_measured(run, program: str) -> None:
    assert "refs.py" in run(program)


def test_what_does_not_is_not(run) -> None:
    assert run(THIRD) == set()
