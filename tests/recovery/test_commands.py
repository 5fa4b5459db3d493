"""A command that runs for a task: its output, its exit code, and that nothing of it stays behind. Real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from koboshi.errors import Permanent, Transient
from koboshi.orchestration import commands

# A stage as DVC starts it: a child of a child. A stubborn one ignores a polite request to end.
STAGE = """
import signal, subprocess, sys
if len(sys.argv) > 2: signal.signal(signal.SIGTERM, signal.SIG_IGN)
program = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()} '); time.sleep(300)"
subprocess.run([sys.executable, "-c", program, sys.argv[1]])
"""
RUNNER = """
import os, sys
from pathlib import Path
from koboshi.orchestration import commands
commands.run((sys.executable, *sys.argv[1:]), cwd=Path.cwd(), env=os.environ, on_line=lambda line: None)
"""


def run(program: str, *words: str, cwd: Path, **options: object) -> tuple[commands.Ended, list[str]]:
    """Run a program that is handed over as text."""
    lines: list[str] = []
    ended = commands.run(
        (sys.executable, "-c", program, *words), cwd=cwd, env=os.environ, on_line=lines.append, **options
    )  # type: ignore[arg-type]
    return ended, lines


def wait_until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Poll with a bound."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def pid_in(file: Path) -> int:
    """The pid that a process has written to a file."""
    wait_until(lambda: file.is_file() and file.read_text().endswith(" "))
    return int(file.read_text())


def is_gone(pid: int) -> bool:
    """Ended; a zombie that nobody has reaped has ended, too."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def outlived(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int, int]]:
    """A process that runs a command: itself, its process guard's pid and the pid of the command's child."""
    (tmp_path / "stage.py").write_text(STAGE)
    words = (sys.executable, "-c", RUNNER, str(tmp_path / "stage.py"), str(tmp_path / "pid"))
    environment = {**os.environ, "KOBOSHI_TAGGED": str(tmp_path / "tags" / "one")}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as runner:
        last = pid_in(tmp_path / "pid")
        process_guard = psutil.Process(runner.pid).children()[0].pid
        try:
            yield runner, process_guard, last
        finally:
            runner.kill()
            if not is_gone(last):
                os.kill(last, signal.SIGKILL)


def test_output_comes_line_by_line_and_the_last_one_is_kept(tmp_path: Path) -> None:
    """stderr included, whole lines only, also the one without an end."""
    program = "import sys; print('one'); sys.stderr.write('two\\n\\n'); sys.stdout.write('thr'); print('ee', end='')"
    ended, lines = run(program, cwd=tmp_path)
    assert sorted(lines) == ["", "one", "three", "two"]
    assert (ended.code, ended.last_line) == (0, "three")


def test_a_command_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    """The end is the process's, not the pipe's."""
    program = "import os, time; os.close(1); os.close(2); time.sleep(1); open('done', 'w').close()"
    assert run(program, cwd=tmp_path)[0].code == 0
    assert (tmp_path / "done").exists()


def test_what_a_command_leaves_running_is_ended(tmp_path: Path) -> None:
    """A background process that holds the output open neither blocks the run nor outlives it."""
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        "open('pid', 'w').write(f'{child.pid} ')"
    )
    assert run(program, cwd=tmp_path)[0].code == 0
    wait_until(lambda: is_gone(pid_in(tmp_path / "pid")))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (65, Permanent),
        (2, Permanent),
        (75, Transient),
        (1, Transient),
        (130, Transient),
        (137, Transient),
        (143, Transient),
    ],
)
def test_the_exit_code_decides_between_retry_and_failure(tmp_path: Path, code: int, error: type[Exception]) -> None:
    """65 and wrong words fail at once, 75, a signal and a kill are tried again; the command's sentence is handed on."""
    ended, _ = run(f"import sys; print('land again.'); sys.exit({code})", cwd=tmp_path)
    with pytest.raises(error, match=rf"^stage x ended with {code}: land again\.$"):
        commands.raise_for(ended, "stage x")


def test_success_raises_nothing() -> None:
    """Exit code 0 is the only success."""
    commands.raise_for(commands.Ended(0, ""), "stage x")


def test_a_killed_command_is_worth_another_try(tmp_path: Path) -> None:
    """SIGKILL is reported as 128 + 9."""
    ended, _ = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", cwd=tmp_path)
    assert ended.code == 137


def test_what_the_beat_raises_ends_the_command(tmp_path: Path) -> None:
    """A fenced run stops what it started, even if that ignores SIGTERM."""

    def fenced() -> None:
        if (tmp_path / "pid").is_file():
            raise Permanent("fenced")

    (tmp_path / "stage.py").write_text(STAGE)
    command = (sys.executable, str(tmp_path / "stage.py"), str(tmp_path / "pid"), "stubborn")
    with pytest.raises(Permanent, match="fenced"):
        commands.run(command, cwd=tmp_path, env=os.environ, on_line=lambda _: None, on_beat=fenced)
    wait_until(lambda: is_gone(pid_in(tmp_path / "pid")))


def test_it_runs_outside_the_main_thread(tmp_path: Path) -> None:
    """Signals can be caught in the main thread only; elsewhere a command runs all the same."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run("pass", cwd=tmp_path)[0].code))
    thread.start()
    thread.join()
    assert codes == [0]


def test_sigterm_ends_the_command_and_then_the_task(outlived: tuple["subprocess.Popen[bytes]", int, int]) -> None:
    """Airflow stops a task by SIGTERM: its command ends first."""
    runner, process_guard, last = outlived
    runner.terminate()
    assert runner.wait(60) == 1
    assert is_gone(last)
    assert is_gone(process_guard)


def test_a_killed_task_takes_its_command_with_it(outlived: tuple["subprocess.Popen[bytes]", int, int]) -> None:
    """SIGKILL of the task: the kernel tells the process guard, which ends grandchildren, too."""
    runner, process_guard, last = outlived
    runner.kill()
    wait_until(lambda: is_gone(last) and is_gone(process_guard))


def test_a_killed_leash_takes_its_command_with_it(outlived: tuple["subprocess.Popen[bytes]", int, int]) -> None:
    """The task is still there, and ends the rest of the group."""
    runner, process_guard, last = outlived
    os.kill(process_guard, signal.SIGKILL)
    runner.wait(60)
    assert is_gone(last)


def test_what_outlives_task_and_leash_is_found_by_its_mark(
    outlived: tuple["subprocess.Popen[bytes]", int, int], tmp_path: Path
) -> None:
    """Both killed at once leave an orphan; the next run ends it, and nobody else's."""
    runner, process_guard, last = outlived
    os.kill(runner.pid, signal.SIGSTOP)  # so that it cannot act on its process guard's end
    os.kill(process_guard, signal.SIGKILL)
    runner.kill()
    wait_until(lambda: is_gone(process_guard))
    assert not is_gone(last)
    assert commands.end_tagged("KOBOSHI_TAGGED", tmp_path / "tag") == []
    assert last in commands.end_tagged("KOBOSHI_TAGGED", tmp_path / "tags")
    wait_until(lambda: is_gone(last))


def test_a_leash_whose_task_is_gone_already_runs_nothing(tmp_path: Path) -> None:
    """The task may die between its fork and the process guard's first word to the kernel."""
    words = (
        sys.executable,
        "-m",
        "koboshi.orchestration.commands",
        "1",
        sys.executable,
        "-c",
        "open('ran', 'w').close()",
    )
    assert subprocess.run(words, cwd=tmp_path, process_group=0, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "ran").exists()
