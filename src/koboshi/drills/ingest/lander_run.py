"""A lander in a process of its own: what a drill orders of it, and how the drill sees it from outside."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

import psutil

from koboshi.formats.span_files import FOLDER
from koboshi.journal import Journal
from koboshi.ledger import Ledger, spans

Pause = Literal["", "renamed", "committed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Land a topic into a state folder, once, or again and again until the file `until` is there.

    `pause` is a moment at which the process stops itself (SIGSTOP), once: when a file stands under its final name and
    is not committed yet, or right after it was committed. No signal from outside would hit it.
    """

    bootstrap_servers: str
    topic: str
    state_dir: str
    span_records: int = 10_000
    lease_s: float = 30.0
    patience_s: float = 20.0
    pause: Pause = ""
    until: str = ""

    def written(self) -> str:
        """As the one argument of the process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """What `written` gave."""
        return cls(**json.loads(text))

    @property
    def told(self) -> Journal:
        """Where landers of this state folder tell what they do: `reading`, `landed`, `again`."""
        return told_in(Path(self.state_dir))

    @property
    def is_last_round(self) -> bool:
        """Whether what is there now is all that is to be landed."""
        return not self.until or Path(self.until).exists()


def told_in(state_dir: Path) -> Journal:
    """The journal of the landers of a state folder."""
    return Journal(state_dir / "landers.jsonl")


STOPPED_WITHIN_S = 60.0
POLL_S = 0.005
MAGIC = b"PAR1"


@dataclasses.dataclass(frozen=True, slots=True)
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


KOBOSHI = LanderKind(("-m", "koboshi.drills.ingest.lander_process"), named_by_the_ledger)


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
