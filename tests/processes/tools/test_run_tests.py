"""`make test` runs three sessions as if they were one: one exit code, one summary, one Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import run_tests
from tools.run_tests import ROOT, run, summary

pytestmark = pytest.mark.usefixtures("unmeasured")

DRIVER = """
import sys
from tools.run_tests import run

sys.exit(run(*([sys.executable, *words.split()] for words in sys.argv[1:]))[0])
"""


@pytest.mark.parametrize(
    ("last_lines", "told"),
    [
        (
            [
                "== 1495 passed, 1 skipped, 63 deselected in 810.00s (0:13:30) ==",
                "= 50 passed, 9 deselected in 9.00s =",
            ],
            "1545 passed, 1 skipped",
        ),
        (
            ["=== 1 failed, 3 passed, 1 warning in 1.20s ===", "=== 2 passed, 1 warning, 1 error in 0.20s ==="],
            "1 failed, 5 passed, 2 warnings, 1 error",
        ),
        (["=== 4 passed in 1.20s ===", "=== 9 deselected in 0.20s ==="], "4 passed"),
        (["=== 4 passed in 1.20s ===", "Killed"], "4 passed, 1 error"),
        (["4 passed in 1.20s", ""], "4 passed, 1 error"),
        (["=== no tests ran in 0.01s ===", "=== 3 deselected in 0.20s ==="], "no tests ran"),
    ],
)
def test_the_last_line_counts_what_all_have_done(last_lines: list[str], told: str) -> None:
    """A session that died without a summary is an error, and not left out."""
    line = summary([["a test\n", f"{last}\n", "\n"] for last in last_lines], 903.5)
    assert re.fullmatch(rf"=+ {told} in 903\.50s \(0:15:03\) =+", line)


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 0), 0), ((0, 1), 1), ((3, 1), 3), ((0, 5), 0), ((5, 5), 5), ((5, 1), 1)]
)
def test_one_bad_exit_code_is_that_of_all(codes: tuple[int, ...], expected: int) -> None:
    """That nothing was selected is good only where something else ran."""
    assert run(*([sys.executable, "-c", f"raise SystemExit({code})"] for code in codes))[0] == expected


def test_what_they_say_is_not_mixed(capsys: pytest.CaptureFixture[str]) -> None:
    """The first aloud, the other one afterwards, its complaints included."""
    script = "import sys, time\nfor n in range(40): print(sys.argv[1], flush=True); print(sys.argv[1], file=sys.stderr)"
    _, said = run(*([sys.executable, "-c", script, word] for word in "ab"))
    assert said == [["a\n"] * 80, ["b\n"] * 80]
    assert capsys.readouterr().out == "a\n" * 80 + "b\n" * 80


def test_a_session_looks_where_its_mark_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one everywhere else: it has all tests without a mark. Paths that are asked for are asked of each."""
    marks = {"test_one.py": "stack", "deep/test_two.py": "parts", "test_three.py": "stacked", "support.py": "parts"}
    for name, mark in marks.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"pytestmark = pytest.mark.{mark}")
    monkeypatch.setattr(run_tests, "TESTS", tmp_path)
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    assert files_of(["-x"]) == [["test_one.py"], ["deep/test_two.py"], []]
    assert files_of(["test_one.py", "-x"]) == [["test_one.py"]] * 3


def files_of(words: list[str]) -> list[list[str]]:
    return [[word for word in run_tests._command(name, words) if word.endswith(".py")] for name in run_tests.MARKS]


def test_a_mark_that_does_not_stand_in_the_file_of_its_test_is_refused(tmp_path: Path) -> None:
    """No session would find it."""
    (tmp_path / "marks.py").write_text("import pytest\nMARK = pytest.mark.stack\n")
    (tmp_path / "test_it.py").write_text("from marks import MARK as pytestmark\ndef test_it(): ...\n")
    options = ("-p", "no:cacheprovider", "-p", "tests.conftest", "-o", f"pythonpath={ROOT} {tmp_path}")
    command = [sys.executable, "-m", "pytest", "-q", *options, "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "test_it.py has tests with the mark stack: write pytest.mark.stack in that file" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_both_clear_up(number: int, tmp_path: Path) -> None:
    """Also where SIGINT was ignored, and however often it is asked for: each test's own clearing up is done once."""
    (tmp_path / "test_waits.py").write_text(WAITS)
    session = f"-m pytest -q -p no:cacheprovider -c /dev/null {tmp_path}/test_waits.py --basetemp {tmp_path}"
    command = ["env", "--ignore-signal=INT", sys.executable, "-c", DRIVER, f"{session}/one", f"{session}/two"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"FOLDER": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as driver:
        try:
            wait_for(lambda: len(list(tmp_path.glob("*.began"))) == 2)
            driver.send_signal(number)
            wait_for(lambda: len(list(tmp_path.glob("*.clearing"))) == 2)
            driver.send_signal(number)
        finally:
            (tmp_path / "go").touch()  # also where a wait has failed: nobody waits for the sessions for ever
        said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 2
    assert len(list(tmp_path.glob("*.cleared"))) == 2
    assert said.count("KeyboardInterrupt") >= 2


WAITS = """
import os, time
from pathlib import Path
import pytest

folder, pid = Path(os.environ["FOLDER"]), os.getpid()

@pytest.fixture
def started():
    yield
    (folder / f"{pid}.clearing").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    (folder / f"{pid}.cleared").touch()

def test_waits(started):
    (folder / f"{pid}.began").touch()
    time.sleep(60)
"""


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
