"""What a drill orders of a lander that runs in a process of its own, and what that process tells of itself."""

import ctypes
import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Literal, Self

from koboshi.journal import Journal

Pause = Literal["", "renamed", "committed"]
_PR_SET_PDEATHSIG = 1


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


def stop_myself() -> None:
    """Stop here until somebody sends SIGCONT, or SIGKILL."""
    os.kill(os.getpid(), signal.SIGSTOP)


def die_with_the_drill() -> None:
    """Have the kernel send SIGKILL when the drill's process is gone: a stopped process would stay for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() == 1:
        raise SystemExit(1)
