"""The last probe of each part, in a small file of its own: who probes writes it, and `koboshi status` reads it.

The prober probes the started parts again and again; `koboshi up` and `koboshi status --probe` ask anew. When something
is to be asked, and whether a record still counts, is decided here. Pure but for `read` and `write`.
"""

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from koboshi.files import TEMPORARY_PREFIX
from koboshi.probes import Health

FOLDER = "probes"
EVERY_S = 30.0
ILL_EVERY_S = 5.0
WORK_EVERY_S = 1800.0  # of a part that can be looked at more cheaply than by work
SETTLED_S = 60.0  # a start is over by then
STALE_S = 150.0  # longer than a period and the slowest probe together

Question = Literal["work", "look"]


@dataclasses.dataclass(frozen=True, slots=True)
class ProbeRecord:
    """A probe's answer, and what was asked for.

    In seconds since 1970: `at`, when the probe began, and `worked_at`, when real work last succeeded (None: never).
    """

    ok: bool
    detail: str
    at: float
    took_s: float
    asked: Question = "work"
    worked_at: float | None = None

    @property
    def ended_at(self) -> float:
        """When the answer came."""
        return self.at + self.took_s

    def health(self) -> Health:
        """The answer as a probe gives it; it says how old real work is where the part was only looked at."""
        if self.asked == "work" or not self.ok:
            return Health(self.ok, self.detail, self.at)
        worked = "no real work yet" if self.worked_at is None else f"real work {ago(self.worked_at)} ago"
        return Health(self.ok, f"{self.detail}; {worked}", self.at)


def ago(at: float, now: float | None = None) -> str:
    """How long ago a moment is: seconds, minutes or hours."""
    seconds = max(0, round((time.time() if now is None else now) - at))
    return f"{seconds} s" if seconds < 100 else f"{seconds // 60} min" if seconds < 6000 else f"{seconds // 3600} h"


def question(record: ProbeRecord | None, started_at: float, now: float, *, can_look: bool) -> Question | None:
    """What to ask a part now, whose programs were started last at `started_at`; None: nothing yet. Pure.

    A part that does not answer is asked more often, unless it was by costly work. Where a look is cheaper than work,
    work is asked for when the start is over, so as not to take the processor from it, and seldom after that.
    """
    if record is not None and record.at >= started_at:
        often = not record.ok and not (can_look and record.asked == "work")
        if now - record.ended_at < (ILL_EVERY_S if often else EVERY_S):
            return None
    if not can_look:
        return "work"
    worked_at = record.worked_at if record else None
    if worked_at is None or worked_at < started_at:
        return "work" if now - started_at >= SETTLED_S else "look"
    return "work" if now - worked_at >= WORK_EVERY_S else "look"


def is_stale(record: ProbeRecord | None, started_at: float, now: float) -> bool:
    """Whether nobody has asked for so long that somebody else has to: the prober does not run, or hangs. Pure."""
    return now - max(record.ended_at if record else 0.0, started_at) > STALE_S


def answer(probe: Callable[[], Health], before: ProbeRecord | None = None, asked: Question = "work") -> ProbeRecord:
    """Ask, and note when. A look, and work that failed, keep when real work last succeeded."""
    at, began = time.time(), time.monotonic()
    health = probe()
    worked_at = at if asked == "work" and health.ok else before.worked_at if before else None
    return ProbeRecord(health.ok, health.detail, at, time.monotonic() - began, asked, worked_at)


def read(own: Path) -> dict[str, ProbeRecord]:
    """The records by the names of their probes; what is no record counts as none."""
    found = {}
    for path in (own / FOLDER).glob("*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found[path.stem] = ProbeRecord(**json.loads(path.read_bytes()))
    return found


def write(own: Path, records: Mapping[str, ProbeRecord]) -> None:
    """Replace records by a rename, so that a reader gets whole ones; not fsynced, for a new one comes soon."""
    for name, record in records.items():
        path = own / FOLDER / f"{name}.json"
        path.parent.mkdir(exist_ok=True, mode=0o700)
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{name}-{os.getpid()}")
        temporary.write_text(json.dumps(dataclasses.asdict(record)))
        temporary.replace(path)


def forget(own: Path) -> None:
    """Remove all records: what they are of does not run any more."""
    for path in (own / FOLDER).glob("*"):
        path.unlink(missing_ok=True)
