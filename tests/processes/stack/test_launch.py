"""The launcher: what the supervisor runs becomes the part's program, or says why not."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from koboshi.stack import launch
from koboshi.stack.part import Part, Start, StartHistory, Step, write_table


def part(folder: Path, *argv: str, **changes: object) -> Part:
    values = {
        "name": "x",
        "group": "x",
        "argv": argv,
        "environment": {"OWN": "1"},
        "folder": folder,
        "log": folder / "log",
    }
    return Part(**{**values, **changes})  # type: ignore[arg-type]


def launched(folder: Path, made: Part, supervisor: int | None = None) -> subprocess.CompletedProcess[str]:
    write_table(folder, {"x": made})
    (folder / "supervisord.pid").write_text(str(supervisor or os.getpid()))
    command = [sys.executable, "-m", "koboshi.stack.launch", "x", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_launcher_becomes_the_program_and_records_it(tmp_path: Path) -> None:
    """The same process: no wrapper stays; its output goes to its own log; steps come first, and once."""
    program = "import os; print(os.getpid(), os.environ['OWN'], os.getcwd())"
    step = Step((sys.executable, "-c", "print('step')"), tmp_path / "done")
    made = part(tmp_path, sys.executable, "-c", program, steps=(step,))
    assert launched(tmp_path, made).returncode == 0
    assert launched(tmp_path, made).returncode == 0
    lines = (tmp_path / "log").read_text().splitlines()
    pids = [start.pid for start in StartHistory(tmp_path / "starts" / "x.json").starts()]
    assert lines == ["step", *(f"{pid} 1 {tmp_path}" for pid in pids)]


def test_a_failed_step_ends_the_start(tmp_path: Path) -> None:
    """The program does not run on a half-made database; the next start tries the step again."""
    step = Step((sys.executable, "-c", "raise SystemExit(3)"), tmp_path / "done")
    assert launched(tmp_path, part(tmp_path, sys.executable, "-c", "print('ran')", steps=(step,))).returncode == 1
    log = (tmp_path / "log").read_text()
    assert "ended with 3" in log
    assert "ran" not in log


def test_without_its_supervisor_a_part_does_not_start(tmp_path: Path) -> None:
    """Nobody would end it."""
    made = part(tmp_path, sys.executable, "-c", "print('ran')")
    assert launched(tmp_path, made, supervisor=1).returncode == launch.GAVE_UP
    assert not (tmp_path / "log").exists()


def test_a_part_that_never_lasts_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    """`koboshi status` shows it."""
    history = StartHistory(tmp_path / "starts" / "x.json")
    for _ in range(7):
        history.add(Start(time.time(), 1, 1))
    assert launched(tmp_path, part(tmp_path, sys.executable, "-c", "print('ran')")).returncode == launch.GAVE_UP
    assert "read `koboshi logs x`" in history.note()


def test_what_an_earlier_start_left_running_is_ended(tmp_path: Path) -> None:
    """A second copy would do the work twice, or hold the port."""
    old = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    history = StartHistory(tmp_path / "starts" / "x.json")
    history.add(Start(0.0, old.pid, launch.start_ticks(old.pid)))
    assert launched(tmp_path, part(tmp_path, sys.executable, "-c", "pass")).returncode == 0
    assert old.wait(timeout=10) == -9
    assert old.stdin is not None
    old.stdin.close()


def test_gates_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open port and a file that is there let it through; what does not come ends the start."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        launch.wait_for_gates(part(tmp_path, "x", after_ports=(port,), after_files=(tmp_path,)))
    monkeypatch.setattr(launch, "GATE_LIMIT_S", 0.0)
    with pytest.raises(SystemExit):
        launch.wait_for_gates(part(tmp_path, "x", after_files=(tmp_path / "never",)))


def test_a_log_that_has_grown_is_begun_anew_and_the_old_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that runs for a month does not fill the disk."""
    (tmp_path / "log").write_text("old")
    monkeypatch.setattr(launch, "LOG_LIMIT_BYTES", 2)
    launched_log = tmp_path / "log"
    saved = os.dup(1), os.dup(2)
    try:
        launch.write_to_log(launched_log)
    finally:
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
    assert (tmp_path / "log.1.log").read_text() == "old"
    assert launched_log.read_text() == ""
