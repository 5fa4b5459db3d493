"""One stage by DVC, in one workspace, by one process at a time. Real DVC, real processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from dvc.exceptions import DvcException, ReproductionError
from dvc.lock import LockError
from dvc.stage.exceptions import StageCmdFailedError

from koboshi.errors import Fenced, LeaseTaken, Permanent, Transient
from koboshi.ledger import Ledger, leases
from koboshi.orchestration import dvc_stage, stages, workspaces
from tests.support.toy_project import toy_project

RUNNER = """
import sys
from pathlib import Path
from koboshi.orchestration import stages, workspaces
project = Path(sys.argv[1])
workspace = workspaces.choose(project, project / ".koboshi", {"first.ends": "late"})
stages.run_stage("first", workspace, state_dir=project / ".koboshi", topics=(), holder="task",
    ledger_url=f"sqlite:///{project}/.koboshi/ledger.db", on_line=lambda line: None)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two stages."""
    return toy_project(tmp_path / "project")


def run(
    project: Path, stage: str, holder: str = "task", on_line: Callable[[str], None] = lambda _: None, **wanted: object
) -> list[str]:
    """Run a stage as a task does; its lines."""
    state_dir, lines = project / ".koboshi", list[str]()
    workspace = workspaces.choose(project, state_dir, {f"first.{name}": value for name, value in wanted.items()})

    def tell(line: str) -> None:
        lines.append(line)
        on_line(line)

    given = {"state_dir": state_dir, "ledger_url": url(project), "topics": ()}
    stages.run_stage(stage, workspace, holder=holder, on_line=tell, **given)
    return lines


def url(project: Path) -> str:
    """The ledger of the project."""
    return f"sqlite:///{project / '.koboshi' / 'ledger.db'}"


def wait_until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Poll with a bound."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Ended; a zombie that nobody has reaped has ended, too."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stage_runs_once_and_an_experiment_beside_it(project: Path) -> None:
    """The second run does nothing; changed parameters run elsewhere, share the cache, and leave the lock as it is."""
    lines = run(project, "first")
    assert f"in {project} {project / '.koboshi'}" in lines
    assert "first: nothing changed" in run(project, "first")
    run(project, "second")
    lock = (project / "dvc.lock").read_bytes()
    run(project, "first", number=8)
    run(project, "second", number=8)
    [experiment] = (project / ".koboshi/workspaces").iterdir()
    assert (experiment / "data/second").read_text() == "8"
    assert (project / "data/second").read_text() == "3"
    assert (project / "dvc.lock").read_bytes() == lock
    assert (experiment / "dvc.lock").read_bytes() != lock
    # A number that `second` does not depend on: what it made before comes out of the shared cache.
    run(project, "first", rate=0.5)
    assert any("checking out outputs" in line for line in run(project, "second", rate=0.5))


def test_the_stages_own_exit_code_comes_through_dvc(project: Path) -> None:
    """DVC ends with 255 for both; its sentence is the error's."""
    with pytest.raises(Permanent, match=r"^stage first ended with 65: first: span 7 is damaged: land it again\.$"):
        run(project, "first", ends="corrupt")
    with pytest.raises(Transient, match="75: first: the broker is away"):
        run(project, "first", ends="away")


def test_what_does_not_fit_is_not_tried_again(project: Path) -> None:
    """A stage that is not there, a dependency that nobody made: no retry helps."""
    with pytest.raises(Permanent, match="nix"):
        run(project, "nix")
    with pytest.raises(Permanent, match="data/first"):
        run(project, "second")


def test_somebody_elses_workspace_is_left_alone(project: Path) -> None:
    """Two tasks at once in one workspace: the second is told to try later, and starts nothing."""
    ledger = Ledger(url(project))
    leases.acquire(ledger, f"workspace {project}", "another task", 60)
    with pytest.raises(LeaseTaken):
        run(project, "first")
    assert not (project / "data").exists()


def test_a_later_try_ends_what_an_earlier_one_left(project: Path) -> None:
    """Task and process guard killed at once: DVC and the stage live on, until the next try of the task (I3)."""
    workspace = project / ".koboshi/workspaces" / workspaces.digest({"first.ends": "late"})
    with subprocess.Popen((sys.executable, "-c", RUNNER, str(project)), stderr=subprocess.DEVNULL) as task:
        wait_until(lambda: (workspace / "pid").is_file() and (workspace / "pid").read_text().endswith(" "))
        left = int((workspace / "pid").read_text())
        process_guard = psutil.Process(task.pid).children()[0]
        task.send_signal(signal.SIGSTOP)  # so that it cannot act on its process guard's end
        process_guard.kill()
        task.kill()
    assert not is_gone(left)
    with pytest.raises(LeaseTaken):
        run(project, "first", holder="another task", ends="late")

    def when_begun(line: str) -> None:
        if line.startswith("in "):
            assert is_gone(left)
            (workspace / "go").touch()

    assert "first: done" in run(project, "first", on_line=when_begun, ends="late")


def test_a_try_that_was_taken_over_ends_what_it_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tries of a task at once, as after a scheduler's restart: the older one notices at its next beat (I3)."""
    monkeypatch.setattr(stages, "_LEASE_S", 1.0)
    ledger = Ledger(url(project))
    workspace = project / ".koboshi/workspaces" / workspaces.digest({"first.ends": "late"})

    def take_over(line: str) -> None:
        if line.startswith("in "):
            leases.acquire(ledger, f"workspace {workspace}", "task", 60)

    with pytest.raises(Fenced):
        run(project, "first", on_line=take_over, ends="late")
    wait_until(lambda: is_gone(int((workspace / "pid").read_text())))


def test_a_lock_torn_by_a_crash_is_mended(project: Path) -> None:
    """DVC itself fails on it until somebody removes it by hand."""
    (project / ".dvc/tmp").mkdir()
    (project / ".dvc/tmp/rwlock").touch()
    run(project, "first")
    assert json.loads((project / ".dvc/tmp/rwlock").read_text()) == {}


def test_only_the_dead_are_taken_out_of_the_lock() -> None:
    """A living DVC keeps its place."""
    holder = {"pid": 1, "cmd": "dvc"}
    dead = {"pid": 2, "cmd": "dvc"}
    lock = {"write": {"a": holder, "b": dead}, "read": {"c": [holder, dead], "d": [dead]}}
    alive = {"write": {"a": holder}, "read": {"c": [holder]}}
    assert dvc_stage.without_dead(json.dumps(lock), lambda pid: pid == 1) == alive
    assert dvc_stage.without_dead('{"write": {"a": {"pi', lambda _: True) == {}
    assert dvc_stage.without_dead("[]", lambda _: True) == {}


def test_a_pid_that_is_not_dvcs_is_dead(project: Path) -> None:
    """The number of a killed DVC may have gone to another process."""
    folder = project / ".dvc/tmp"
    folder.mkdir()
    ours, gone = {"pid": os.getppid(), "cmd": "x"}, {"pid": 2**22 + 1, "cmd": "dvc"}
    (folder / "rwlock").write_text(json.dumps({"write": {"a": ours, "b": gone}}))
    dvc_stage.mend_lock(folder)
    assert json.loads((folder / "rwlock").read_text()) == {}


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (LockError("busy"), 75),
        (StageCmdFailedError("python -m steps.first", 137), 75),
        (DvcException("output data/x is in two stages"), 65),
        (FileNotFoundError("data/first"), 65),
        (OSError(errno.ENOSPC, "no space left on device"), 75),
        (ConnectionResetError("the remote was reset"), 75),
        (TypeError("a bug of DVC's"), 65),
    ],
)
def test_dvcs_errors_decide_by_their_cause(cause: Exception, code: int) -> None:
    """A lock passes, a killed stage is worth another try, a pipeline that does not fit is not."""
    error = ReproductionError("failed to reproduce 'first'")
    error.__cause__ = cause
    assert dvc_stage.exit_code(error) == code
