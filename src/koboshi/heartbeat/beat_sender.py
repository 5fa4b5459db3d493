"""The process beside a worker: it beats on the worker's behalf, and ends with it.

    python -m koboshi.heartbeat.beat_sender       (started by `Companion`, with a pipe as standard input)

The pipe's first line is the order, each one after it says what the worker is at. The sender reads the worker's state
from the kernel, so it needs nothing of the worker's interpreter: a step that holds it for minutes beats on, and a
stopped process shows as stopped. It hangs on to the process itself (a pidfd), neither to its number, which may be
given again, nor to the thread that started it, at whose end a death signal would come too soon. By it the sender also
kills the worker, when the listener orders so: it is the one that is surely on the same machine.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from koboshi.heartbeat.beat import DEAD, Address, Beat, Doing, is_kill_order


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
        _wrote(process, json.dumps(dataclasses.astuple(self._order)))
        return process


def _wrote(process: subprocess.Popen[bytes], line: str) -> bool:
    """A short line goes into a pipe whole or not at all."""
    data = line.encode() + b"\n"
    try:
        return process.stdin is not None and process.stdin.write(data) == len(data)
    except OSError:
        return False


_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CHUNK = 65_536


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """For whom to beat, where to, and how often.

    It is the first line of the pipe: in the command line, everybody on the machine could read the secret.
    """

    worker: str
    pid: int
    address: Address
    interval_s: float


def main() -> None:
    """Beat until the worker is gone, and say so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = _Lines(sys.stdin.fileno())
    if not (lines := pipe.read()):
        return
    worker, pid, address, interval_s = json.loads(lines[0])
    order = Order(worker, pid, Address(*address), interval_s)
    process = os.pidfd_open(order.pid)
    if os.getppid() != order.pid:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        _Sender(order, process, pipe, out).run(lines[1:])


class _Lines:
    """Whole lines of a pipe that is polled, so nothing may be left in a buffer."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self._rest = descriptor, b""

    def read(self) -> list[str] | None:
        """The lines that are complete, at least one; None when the pipe is closed."""
        lines: list[bytes] = []
        while not lines:
            if not (chunk := os.read(self.descriptor, _CHUNK)):
                return None
            *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line.decode() for line in lines]


class _Sender:
    def __init__(self, order: Order, process: int, pipe: _Lines, out: socket.socket) -> None:
        self._order, self._process, self._pipe, self._out = order, process, pipe, out
        self._poll = select.poll()
        self._poll.register(process, select.POLLIN)
        self._poll.register(pipe.descriptor, select.POLLIN)
        self._poll.register(out, select.POLLIN)
        self._doing = Doing()

    def run(self, lines: list[str]) -> None:
        due = time.monotonic()
        while True:
            if lines:
                self._doing = Doing(*json.loads(lines[-1]))
            if (now := time.monotonic()) >= due:
                self._send(*process_now(self._order.pid))
                due += self._order.interval_s * (1 + (now - due) // self._order.interval_s)  # no burst makes up
            ready = {descriptor for descriptor, _ in self._poll.poll(max(0.0, due - time.monotonic()) * 1000)}
            if self._process in ready:
                return self._send(DEAD, 0.0)
            if self._out.fileno() in ready:
                self._obey()
            lines = self._heard() if self._pipe.descriptor in ready else []

    def _heard(self) -> list[str]:
        """What the worker says; a dying process closes its pipe a moment before it is gone."""
        if (lines := self._pipe.read()) is None:
            self._poll.unregister(self._pipe.descriptor)
        return lines or []

    def _obey(self) -> None:
        """Kill the worker if the listener says so; SIGKILL ends a stopped process, too."""
        order, address = self._order, self._order.address
        with contextlib.suppress(OSError):  # a port that nobody listens at shows here, and ends nothing
            if is_kill_order(self._out.recv(_CHUNK, socket.MSG_DONTWAIT), order.worker, address.secret):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _send(self, state: str, cpu_s: float) -> None:
        beat = Beat(self._order.worker, self._doing, state, cpu_s, time.monotonic())
        address = self._order.address
        try:
            self._out.sendto(beat.to_bytes(address.secret), (address.host, address.port))
        except OSError:  # a network that is down, or a driver that has gone: silence is the message
            return


def process_now(pid: int, proc: Path = Path("/proc")) -> tuple[str, float]:
    """A process's state letter and the processor time of all its threads, or (X, 0) when it is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return DEAD, 0.0
    return parsed_stat(stat.rpartition(")")[2].split())


def parsed_stat(fields: Iterable[str]) -> tuple[str, float]:
    """State and processor time from /proc/PID/stat behind the name; see proc(5). A zombie counts as gone."""
    state, *numbers = fields
    cpu_s = (int(numbers[10]) + int(numbers[11])) / _TICKS_PER_S
    return (DEAD if state == "Z" else state), cpu_s


if __name__ == "__main__":
    main()
