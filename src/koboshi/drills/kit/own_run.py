"""What one run of a drill has for itself: a folder, ports, and processes that end with the drill, however it ends."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from koboshi.events import RunKept, Sink
from koboshi.settings import Settings


def new_run_folder(settings: Settings) -> Path:
    """A folder that nobody has used, nor will: its name can tell everything else of the run apart. Not made yet."""
    return settings.state_dir / "drills" / "runs" / uuid.uuid4().hex[:12]


def leave(folder: Path, *, keep_files: bool, emit: Sink) -> None:
    """Remove the folder, or tell where it is."""
    if keep_files:
        emit(RunKept(folder=str(folder)))
    else:
        shutil.rmtree(folder, ignore_errors=True)


STOP_LIMIT_S = 10.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class OwnProcess:
    """A command under a process guard, with a log of its own. Starting it twice starts it again."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet; the log is `<folder>/<name>.log`."""
        self.name, self.log = name, folder / f"{name}.log"
        self._command, self._folder, self._environment = tuple(command), folder, dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; when this process dies, it is ended too."""
        leashed = [sys.executable, "-m", "koboshi.orchestration.commands", str(os.getpid()), *self._command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                leashed,
                cwd=self._folder,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def pid(self) -> int | None:
        """The process guard, which leads the group; None when nothing runs."""
        return self._process.pid if self._process else None

    def pids(self) -> list[int]:
        """What runs under the process guard, without the process guard itself."""
        try:
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)] if self.pid else []
        except psutil.NoSuchProcess:
            return []

    @property
    def has_ended(self) -> bool:
        """Whether it was started, and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def told(self) -> list[str]:
        """The lines of its log."""
        return self.log.read_text(errors="replace").splitlines() if self.log.is_file() else []

    def stop(self) -> None:
        """End it and all that it started; at once, since nothing of it is kept."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_LIMIT_S)


_PR_SET_PDEATHSIG = 1


def stop_myself() -> None:
    """Stop here until somebody sends SIGCONT, or SIGKILL."""
    os.kill(os.getpid(), signal.SIGSTOP)


def die_with_the_drill() -> None:
    """Have the kernel send SIGKILL when the drill's process is gone: a stopped process would stay for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() == 1:
        raise SystemExit(1)
