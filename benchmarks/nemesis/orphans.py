"""Who is still there of a training that has ended: its drivers, its workers, and those who beat beside them."""

import time

import psutil

from koboshi.settings import Settings
from koboshi.stack.paths import find_paths
from koboshi.stack.process_table import read_processes

GONE_WITHIN_S = 30.0
BESIDE = "koboshi.heartbeat.beat_sender"


def orphans(settings: Settings, pids: dict[int, str]) -> list[str]:
    """Those of the recorded processes that live, and any that beats for nobody; they are given a moment to end."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (left := _left(settings, pids)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _left(settings: Settings, pids: dict[int, str]) -> list[str]:
    stack = find_paths(settings.project, settings.state_dir).stack_id
    beside = [pid for pid, process in read_processes().items() if process.tag == stack and BESIDE in _words(pid)]
    named = [f"{what} (pid {pid})" for pid, what in pids.items() if _is_ours(_words(pid))]
    return [*named, *(f"a beat sender (pid {pid})" for pid in beside)]


def _is_ours(words: str) -> bool:
    """A pid may by now be somebody else's, so it is looked at what the process does."""
    return "UnitWorker" in words or "ray::koboshi-" in words or "train.py" in words


def _words(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""
