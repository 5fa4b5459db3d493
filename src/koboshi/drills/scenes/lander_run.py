"""A lander's process, as the drill sees it from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from koboshi.drills.scenes.lander_order import Order
from koboshi.formats.span_files import FOLDER
from koboshi.ledger import Ledger, spans

STOPPED_WITHIN_S = 60.0
POLL_S = 0.005
MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class LanderKind:
    """What is put to the test: the program (arguments for Python), and which files it means to count."""

    program: Sequence[str]
    counted: Callable[[Path, str], Sequence[Path]]


def named_by_the_ledger(state_dir: Path, topic: str) -> list[Path]:
    """The files that the ledger's committed rows name."""
    ledger = Ledger(f"sqlite:///{state_dir / 'ledger.db'}")
    try:
        return [state_dir / span.path for span in spans.committed(ledger, topic)]
    finally:
        ledger.close()


KOBOSHI = LanderKind(("-m", "koboshi.drills.scenes.lander_process"), named_by_the_ledger)


def has_begun(path: Path) -> bool:
    """Whether there is more in a file than its first word."""
    try:
        return path.stat().st_size > len(MAGIC)
    except FileNotFoundError:
        return False


def is_whole(path: Path) -> bool:
    """Whether a Parquet file has its end, without which nothing in it can be read; one that was renamed has it."""
    try:
        with path.open("rb") as file:
            return has_begun(path) and file.seek(-len(MAGIC), os.SEEK_END) > 0 and file.read() == MAGIC
    except FileNotFoundError:
        return True


class LanderRun:
    """One process. It dies with the drill, however that ends."""

    def __init__(self, kind: LanderKind, order: Order, project: Path, log: Path) -> None:
        """Start it."""
        Path(order.state_dir).mkdir(parents=True, exist_ok=True)
        self.order, self._log = order, log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, *kind.program, order.written()],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.pid = self._process.pid

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def stopped(self) -> bool:
        """Wait until it has stopped itself; False when it ended first, or did not stop in time."""
        deadline = time.monotonic() + STOPPED_WITHIN_S
        while not self.over and time.monotonic() < deadline:
            if psutil.Process(self.pid).status() == psutil.STATUS_STOPPED:
                return True
            time.sleep(POLL_S)
        return False

    def parts(self) -> list[Path]:
        """The files that it has not given their names yet."""
        return list((Path(self.order.state_dir) / FOLDER / self.order.topic).glob("*/.part-*"))

    def growing(self) -> Path | None:
        """A file that it is writing just now: its end is not written yet."""
        return next((path for path in self.parts() if has_begun(path) and not is_whole(path)), None)

    def ended(self, limit_s: float) -> int | None:
        """Its exit code, or None when it has not ended after `limit_s`."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def end(self) -> None:
        """SIGKILL, also when it is stopped; nothing when it has ended."""
        self._process.kill()
        self._process.wait()
