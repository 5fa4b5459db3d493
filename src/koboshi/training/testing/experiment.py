"""Runs of a unit in a process of its own: `python -m koboshi.training.testing.experiment ORDER.json RESULT.json`.

Started by check.py, under the environment that the check chose. Dumps are compared by their normal form, in which the
same value gives the same bytes. Two equal models may have different pickles: a pickle also tells which attributes share
one object in memory, the order in which a set happened to be filled, and what was left in the padding of a record. None
of that survives there; whatever can be asked of a value does, floats to the last bit.
"""

import ctypes
import dataclasses
import gc
import hashlib
import io
import itertools
import json
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self

from koboshi.formats.manifest import DatasetRef
from koboshi.names import resolve
from koboshi.training.spec import Unit, UnitSpec, make_unit
from koboshi.training.testing.diagnosis import Run, Step

_NEWEST = 5


def normal_form(value: Any) -> bytes:
    """The bytes of a value; `bytes` that are a pickle stand for what is in it."""
    if isinstance(value, bytes):
        if not _is_pickle(value):
            return value
        value = pickle.loads(value)
    try:
        return _pickled(value, shared=False)
    except (ValueError, RecursionError):  # a value that contains itself cannot be written without sharing
        return _pickled(value, shared=True)


def _is_pickle(state: bytes) -> bool:
    return len(state) > 2 and state[0] == 0x80 and 2 <= state[1] <= _NEWEST and state.endswith(b".")


def _pickled(value: Any, *, shared: bool) -> bytes:
    out = io.BytesIO()
    pickler = _Normal(out, protocol=_NEWEST)
    pickler.fast = not shared
    pickler.dump(value)
    return out.getvalue()


def _digest(value: Any) -> str:
    """Of a part: what stands for a value is itself looked at again, so it may be no pickle."""
    return hashlib.sha256(normal_form(value)).hexdigest()


class _Normal(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        """What stands for a value that has more than one way to be written."""
        if type(value) in (set, frozenset):
            return type(value).__name__, sorted(_digest([element]) for element in value)
        if type(value) is bytes and _is_pickle(value):
            return "pickle", _digest(value)
        numpy = sys.modules.get("numpy")
        if numpy is not None and type(value) is numpy.ndarray:
            return _array(numpy, value)
        return None


def _array(numpy: Any, array: Any) -> Any:
    """Values by position, however they lie in memory."""
    if array.dtype.hasobject:
        return "array", str(array.dtype), array.shape, _digest(array.tolist())
    if array.dtype.names:
        return "array", [(name, array[name].shape, _digest([array[name]])) for name in array.dtype.names]
    return "array", array.dtype.str, array.shape, numpy.ascontiguousarray(array).tobytes()


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
    now = itertools.count(clock.start_s + clock.tick_s, clock.tick_s).__next__
    for name in _READ:
        setattr(time, name, now)
        setattr(time, f"{name}_ns", lambda: int(now() * 1e9))
    for name in _BROKEN_DOWN:
        setattr(time, name, _at(getattr(time, name), now))
    local, strftime = time.localtime, time.strftime
    setattr(time, "strftime", lambda form, at=None: strftime(form, local() if at is None else at))  # noqa: B010
    _replace(datetime, "now", _now)  # date.today and datetime.today ask time.time
    _replace(datetime, "utcnow", lambda cls: _now(cls, UTC).replace(tzinfo=None))


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


@dataclasses.dataclass(frozen=True, slots=True)
class RunOrder:
    """Go through the steps after step `after`, taken up from its kept state, or from the start where it is 0.

    `dumps`: dump after each step, as a worker does, and not only at the end. `shift` is added to each step's number.
    """

    after: int = 0
    dumps: bool = True
    keep: bool = False
    shift: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class ExperimentOrder:
    """Runs of one unit, one after another in one process; `states` is the folder of kept states."""

    spec: UnitSpec
    table: DatasetRef
    predict: str | None
    states: str
    clock: Clock
    runs: tuple[RunOrder, ...]

    def to_json(self) -> str:
        """The order file's text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The order that `to_json` wrote."""
        fields = json.loads(text)
        return cls(
            UnitSpec(**fields["spec"]),
            DatasetRef(**fields["table"]),
            fields["predict"],
            fields["states"],
            Clock(**fields["clock"]),
            tuple(RunOrder(**run) for run in fields["runs"]),
        )


def main() -> None:
    """Do the runs, and write down what came out."""
    order = ExperimentOrder.from_json(Path(sys.argv[1]).read_text())
    set_clock(order.clock)
    runs = [_Running(order, run).done() for run in order.runs]
    Path(sys.argv[2]).write_text(json.dumps([dataclasses.asdict(run) for run in runs]))


class _Running:
    def __init__(self, order: ExperimentOrder, run: RunOrder) -> None:
        self._order, self._run = order, run
        self._steps: list[Step] = []
        self._doing = "the unit is made"

    def done(self) -> Run:
        """The run, up to its end or to what it raised."""
        error = None
        try:
            self._through()
        except Exception as raised:  # noqa: BLE001 (whatever the user's code raises is the outcome)
            error = f"{type(raised).__name__} when {self._doing}: {str(raised).strip()}"
        return Run(self._run.after, tuple(self._steps), error)

    def _through(self) -> None:
        unit = self._taken_up()
        for number in range(self._run.after + 1, self._order.spec.steps + 1):
            self._doing = f"step {number} is done"
            told = unit.step(number + self._run.shift)
            metrics = {name: float(value).hex() for name, value in told.items()}  # to the last bit, and fit for JSON
            self._steps.append(Step(metrics, self._form(unit, number)))

    def _taken_up(self) -> Unit:
        unit = make_unit(self._order.spec.factory, self._order.spec.params)
        self._doing = "it starts"
        unit.start(self._order.table)
        if self._run.after:
            self._doing = f"it loads the state after step {self._run.after}"
            unit.load(self._state(self._run.after).read_bytes())
        return unit

    def _form(self, unit: Unit, number: int) -> str | None:
        if not self._run.dumps and number < self._order.spec.steps:
            return None
        self._doing = f"it dumps after step {number}"
        state = unit.dump()
        if self._run.keep:
            self._state(number).write_bytes(state)
        self._doing = f"the state after step {number} is compared"
        predict, params = self._order.predict, self._order.spec.params
        value = resolve(predict, "function")(state, self._order.table, params) if predict else state
        return hashlib.sha256(normal_form(value)).hexdigest()

    def _state(self, number: int) -> Path:
        return Path(self._order.states) / f"{number}.state"


def read_runs(text: str) -> Sequence[Run]:
    """The runs that an experiment wrote."""
    found: list[dict[str, Any]] = json.loads(text)
    return [Run(run["after"], tuple(Step(**step) for step in run["steps"]), run["error"]) for run in found]


if __name__ == "__main__":
    main()
