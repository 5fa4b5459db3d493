"""What one run of a drill has for itself: a folder, ports, a watch, a proxy, and processes that end with the drill.

A watch waits until something is so, or looks again and again beside the drill's other work. The proxy forwards TCP, and
can fall silent: a black hole, not a reset. Bytes go in and none come out, until it heals.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from koboshi.drills.drill import Injection
from koboshi.events import RunKept, Sink
from koboshi.settings import Settings

LOOK_S = 0.1


def eventually(
    question: Callable[[], object],
    within_s: float,
    *,
    look_s: float = LOOK_S,
    over: Callable[[], bool] = lambda: False,
) -> bool:
    """Whether the answer became yes in time; no as soon as it is `over`, when it can come no more."""
    deadline = time.monotonic() + within_s
    while not question():
        if over() or time.monotonic() > deadline:
            return False
        time.sleep(look_s)
    return True


class Watch:
    """Looks again and again, on a thread of its own."""

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        """Nothing is looked at yet."""
        self._glance, self._every_s = look, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drill-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, then no more; nothing where it has not begun."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._glance()
        self._glance()


class OwnRun:
    """What every environment has one of: a folder, and a list of what has to be ended.

    Whoever starts something says at once, to `ends`, how it is ended: `close` does all of that, the last first, however
    far the run came.
    """

    def __init__(self, settings: Settings, emit: Sink) -> None:
        """Nothing is done yet. The folder is not made yet; its name tells everything else of the run apart."""
        self.ends, self._emit = contextlib.ExitStack(), emit
        self.folder = settings.state_dir / "drills" / "runs" / uuid.uuid4().hex[:12]

    def close(self, *, keep_files: bool) -> None:
        """End what was started; remove the folder, or tell where it is."""
        try:
            self.ends.close()
        finally:
            if keep_files:
                self._emit(RunKept(folder=str(self.folder)))
            else:
                shutil.rmtree(self.folder, ignore_errors=True)


STOP_LIMIT_S, POLL_S = 10.0, 0.01


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class LoggedProcess:
    """A command whose output goes into a log of its own. Starting it twice starts it again."""

    def __init__(self, command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet; it runs in `folder`, with the drill's environment and what is added to that."""
        self.log = log
        self._command, self._folder, self._environment = tuple(command), folder, dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Its process, which leads a group of its own; 0 when nothing runs."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """Whether it was started, and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def ended(self, limit_s: float) -> int | None:
        """Its exit code; None when it has not ended after `limit_s`, or does not run."""
        eventually(lambda: self.has_ended, limit_s, look_s=POLL_S)
        return self._process.poll() if self._process else None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.is_file() else []
        return next(reversed(lines), "it said nothing")

    def stop(self) -> None:
        """End it and all that it started, at once and also when it is stopped, since nothing of it is kept."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_LIMIT_S)


class OwnProcess(LoggedProcess):
    """A command under a process guard, which ends it when the drill dies; the log is `<folder>/<name>.log`."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet."""
        guarded = [sys.executable, "-m", "koboshi.orchestration.commands", str(os.getpid()), *command]
        super().__init__(guarded, folder, folder / f"{name}.log", environment)

    def pids(self) -> list[int]:
        """What runs under the process guard, without the process guard itself."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)] if self.pid else []
        return []


_PR_SET_PDEATHSIG = 1


def stop_myself() -> None:
    """Stop here until somebody sends SIGCONT, or SIGKILL."""
    os.kill(os.getpid(), signal.SIGSTOP)


def die_with_the_drill() -> None:
    """Have the kernel send SIGKILL when the drill's process is gone: a stopped process would stay for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() == 1:
        raise SystemExit(1)


CHUNK = 65_536


class TcpProxy:
    """Listens on a port of 127.0.0.1 and forwards to one target, on a thread of its own.

    While it is cut, connections stay open and new ones are taken, but nothing is forwarded in either direction: both
    ends see a network that has gone silent. Bytes that were sent meanwhile are held and go on after `heal`, as TCP
    would deliver them by retransmission after a partition. `held` counts them: the proof that the cut took.
    """

    def __init__(self, host: str, port: int, listen: int = 0) -> None:
        """The target, and the port to listen on (0: a free one)."""
        self.host, self.port, self.listen = host, port, listen
        self.held = 0
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)

    def start(self) -> None:
        """Listen; `listen` is the port then."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        self.listen = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Close all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Fall silent, in both directions."""
        self.held = 0
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Forward again, what was held first."""
        self._loop.call_soon_threadsafe(self._open.set)

    def inject(self, target: str, swallowed_within_s: float) -> Injection:
        """Cut, and wait until something was swallowed: only then did the cut take."""
        at_s, at_monotonic = time.time(), time.monotonic()
        self.cut()
        eventually(lambda: self.held, swallowed_within_s, look_s=0.01)
        return Injection("network cut", target, at_s, at_monotonic, self.held > 0, None, f"{self.held} bytes swallowed")

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self.listen)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = self._loop.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, until either end closes; an end of file is held too while the network is silent."""
        try:
            while data := await source.read(CHUNK):
                self.held += 0 if self._open.is_set() else len(data)
                await self._open.wait()
                sink.write(data)
                await sink.drain()
            await self._open.wait()
        except ConnectionError:
            pass  # one end was reset: the other one hears of it by the close
        finally:
            sink.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were closed just now let go of their sockets in the next turn
