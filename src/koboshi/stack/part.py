"""What a part of the stack is, a program with what it waits for; when it was started, and what follows from that."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from koboshi.files import publish_bytes, publish_private


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A command that is run to its end before the program, once: not again while `done` exists."""

    argv: tuple[str, ...]
    done: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One program. A pure function of the settings makes it; the launcher runs it; the supervisor restarts it.

    `after_ports` must accept connections and `after_files` must exist before it starts.
    """

    name: str
    group: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ports: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    after_ports: tuple[int, ...] = ()
    after_files: tuple[Path, ...] = ()
    address: str = ""


TABLE = "parts.json"


def write_table(own: Path, parts: Mapping[str, Part]) -> None:
    """Publish the table that the launcher reads; its owner alone may read it, for environments hold secrets."""
    table = {name: dataclasses.asdict(part) for name, part in parts.items()}
    publish_private(own / TABLE, json.dumps(table, indent=1, default=str))


def read_table(own: Path) -> dict[str, Part]:
    """The table of parts that was published last."""
    path = own / TABLE
    return {name: _part(values) for name, values in json.loads(path.read_text()).items()} if path.is_file() else {}


def _part(values: Mapping[str, Any]) -> Part:
    return Part(
        **{
            **values,
            "argv": tuple(values["argv"]),
            "folder": Path(values["folder"]),
            "log": Path(values["log"]),
            "ports": tuple(values["ports"]),
            "steps": tuple(Step(tuple(step["argv"]), Path(step["done"])) for step in values["steps"]),
            "after_ports": tuple(values["after_ports"]),
            "after_files": tuple(Path(path) for path in values["after_files"]),
        }
    )


QUICK_END_S = 30.0
QUICK_ENDS_ALLOWED = 6
LONGEST_PAUSE_S = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """One start: when (seconds since 1970), as which process (its id, and its start time in the kernel's ticks)."""

    at: float
    pid: int
    ticks: int


def decide_start(starts: Sequence[float], now: float) -> float | None:
    """After which pause in seconds to start, by how long the latest starts lasted; None: give up.

    A part that ran for `QUICK_END_S` is forgiven all that was before. The first restart comes at once: most ends are
    accidents. After that the pause doubles, so that a part that cannot start leaves the machine to the others.
    """
    quick = quick_ends(starts, now)
    if quick > QUICK_ENDS_ALLOWED:
        return None
    return 0.0 if quick < 2 else min(2.0 ** (quick - 2), LONGEST_PAUSE_S)


def quick_ends(starts: Sequence[float], now: float) -> int:
    """How many of the latest starts, one after another, ended soon."""
    lasted = [ended - begun for begun, ended in pairwise([*starts, now])]
    return len(list(takewhile(lambda seconds: seconds < QUICK_END_S + LONGEST_PAUSE_S, reversed(lasted))))


@dataclasses.dataclass(frozen=True, slots=True)
class StartHistory:
    """The starts of one part since `koboshi up` began it, in a file of its own."""

    path: Path

    @classmethod
    def of(cls, own: Path, name: str) -> "StartHistory":
        """The history of the part of this name, in the folder of the stack's own records."""
        return cls(own / "starts" / f"{name}.json")

    def starts(self) -> list[Start]:
        """All starts, oldest first."""
        return [Start(**start) for start in self._read()["starts"]]

    def note(self) -> str:
        """Why the part was given up, or an empty text."""
        return str(self._read()["note"])

    def add(self, start: Start) -> None:
        """Remember a start; only the part's own launcher writes here."""
        self._write([*self.starts(), start], "")

    def give_up(self, note: str) -> None:
        """Leave the sentence that `koboshi status` shows."""
        self._write(self.starts(), note)

    def forget(self) -> None:
        """Begin anew: `koboshi up` was asked to try again."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else {"starts": [], "note": ""}

    def _write(self, starts: Sequence[Start], note: str) -> None:
        content = {"starts": [dataclasses.asdict(start) for start in starts[-200:]], "note": note}
        publish_bytes(self.path, json.dumps(content).encode())
