"""The worker's end: starts the sender beside it, and tells it what the worker is at, without ever waiting for it."""

import json
import os
import subprocess
import sys

from koboshi.heartbeat.beat import Address, Doing
from koboshi.heartbeat.beat_sender import Order


class Companion:
    """Beats for this process from now on, until `close` or the process's end."""

    def __init__(self, worker: str, address: Address, interval_s: float) -> None:
        self._order = Order(worker, os.getpid(), address, interval_s)
        self._process = self._started()

    def tell(self, doing: Doing) -> None:
        """Say what the worker is at; beats carry it from the next one on.

        A sender that has died is started again, one that does not read is left alone: its silence is heard.
        """
        line = json.dumps([doing.unit, doing.step, doing.phase])
        if not _wrote(self._process, line) and self._process.poll() is not None:
            self._process = self._started()
            _wrote(self._process, line)

    def close(self) -> None:
        """Beat no more."""
        self._process.kill()
        self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "koboshi.heartbeat.beat_sender"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        _wrote(process, self._order.to_json())
        return process


def _wrote(process: subprocess.Popen[bytes], line: str) -> bool:
    """A short line goes into a pipe whole or not at all."""
    data = line.encode() + b"\n"
    try:
        return process.stdin is not None and process.stdin.write(data) == len(data)
    except OSError:
        return False
