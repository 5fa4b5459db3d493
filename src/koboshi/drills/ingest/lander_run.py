"""A lander in a process of its own: what a drill orders of it, and how the drill sees it from outside."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, Self

import psutil

from koboshi.drills.kit.own_run import LoggedProcess
from koboshi.drills.kit.watching import eventually
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
    with closing(Ledger(f"sqlite:///{state_dir / 'ledger.db'}")) as ledger:
        return [state_dir / span.path for span in spans.committed(ledger, topic)]


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


class LanderRun(LoggedProcess):
    """One process. It dies with the drill, however that ends."""

    def __init__(self, kind: LanderKind, order: Order, project: Path, log: Path) -> None:
        """Start it."""
        super().__init__([sys.executable, *kind.program, order.written()], project, log, {})
        Path(order.state_dir).mkdir(parents=True, exist_ok=True)
        self.order = order
        self.start()

    def stopped(self) -> bool:
        """Wait until it has stopped itself; False when it ended first, or did not stop in time."""

        def is_stopped() -> bool:
            return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

        return eventually(is_stopped, STOPPED_WITHIN_S, look_s=POLL_S, over=lambda: self.has_ended)

    def parts(self) -> list[Path]:
        """The files that it has not given their names yet."""
        return list((Path(self.order.state_dir) / FOLDER / self.order.topic).glob("*/.part-*"))

    def growing(self) -> Path | None:
        """A file that it is writing just now: its end is not written yet."""
        return next((path for path in self.parts() if has_begun(path) and not is_whole(path)), None)
