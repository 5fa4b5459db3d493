"""A clock that tells what it is told: two runs then see the same times, or times that have nothing in common."""

import ctypes
import dataclasses
import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

_READ = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_BROKEN_DOWN = ("localtime", "gmtime", "ctime")


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Starts at `start_s` since 1970, and goes on by `tick_s` each time that somebody looks."""

    start_s: float
    tick_s: float


def set_clock(clock: Clock) -> None:
    """Replace what Python tells of the time in this process.

    For a process that exists for one experiment, at its beginning: it cannot be undone, and a module that has taken
    `time.time` by name before keeps the real one.
    """
    now = _Ticking(clock)
    for name in _READ:
        setattr(time, name, now)
        setattr(time, f"{name}_ns", lambda: int(now() * 1e9))
    for name in _BROKEN_DOWN:
        setattr(time, name, _at(getattr(time, name), now))
    local, strftime = time.localtime, time.strftime
    setattr(time, "strftime", lambda form, at=None: strftime(form, local() if at is None else at))  # noqa: B010
    _replace(datetime, "now", _now)  # date.today and datetime.today ask time.time
    _replace(datetime, "utcnow", lambda cls: _now(cls, UTC).replace(tzinfo=None))


class _Ticking:
    def __init__(self, clock: Clock) -> None:
        self._now_s, self._tick_s = clock.start_s, clock.tick_s

    def __call__(self) -> float:
        self._now_s += self._tick_s
        return self._now_s


def _at(function: Callable[..., Any], now: Callable[[], float]) -> Callable[..., Any]:
    return lambda seconds=None: function(now() if seconds is None else seconds)


def _now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
    return cls.fromtimestamp(time.time(), tz)


def _replace(kind: type, name: str, function: Callable[..., Any]) -> None:
    """Change a method of a type that is written in C.

    A class of ours in its place would not do: extension modules check the size of the one that they find.
    """
    gc.get_referents(kind.__dict__)[0][name] = classmethod(function)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
