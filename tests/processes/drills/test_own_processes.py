"""A drill's own processes end with it, however it ends, with all that they started."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from koboshi.drills.kit.own_run import OwnProcess, free_port

TREE = "import subprocess, sys, time; print('up', flush=True); subprocess.Popen(['sleep', '100']); time.sleep(100)"


def until(question: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not question() and time.monotonic() < deadline:
        time.sleep(0.02)
    return question()


def started(folder: Path) -> OwnProcess:
    process = OwnProcess("tree", [sys.executable, "-c", TREE], folder, {})
    process.start()
    return process


def living(folder: Path) -> list[int]:
    """The processes whose folder this is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_it_writes_a_log_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert until(lambda: process.last_words() == "up" and len(living(tmp_path)) == 3)
    process.stop()
    assert until(lambda: living(tmp_path) == [])
    process.stop()


def test_one_that_was_never_started_has_said_nothing_and_can_be_stopped(tmp_path: Path) -> None:
    process = OwnProcess("tree", ["true"], tmp_path, {})
    process.stop()
    assert process.last_words() == "it said nothing"


def test_it_ends_when_the_drill_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the drill: nobody is left to stop anything."""
    code = (
        "import sys, time; from pathlib import Path; from koboshi.drills.kit.own_run import OwnProcess; "
        f"OwnProcess('tree', [sys.executable, '-c', {TREE!r}], Path({str(tmp_path)!r}), {{}}).start(); time.sleep(100)"
    )
    drill = subprocess.Popen([sys.executable, "-c", code], cwd=os.sep)
    try:
        assert until(lambda: len(living(tmp_path)) == 3)
    finally:
        drill.kill()
        drill.wait()
    assert until(lambda: living(tmp_path) == [])


def test_a_free_port_can_be_listened_on() -> None:
    assert 1024 < free_port() < 65_536


def test_its_environment_is_ours_and_its_own(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OWN_SETTING'], 'PATH' in os.environ)"
    process = OwnProcess("environment", [sys.executable, "-c", code], tmp_path, {"OWN_SETTING": "7"})
    process.start()
    assert until(lambda: process.last_words() == "7 True")
    process.stop()
