"""Sweep a commit path: a fault at each of its crash points, then enter it again and compare with an undisturbed run.

    python -m tests.support.crash_sweep SCENE FOLDER OUT [--fault SIGKILL] … [--statements] [--only REGEX]

Everything is imported once, here; each run is a forked child, and a fork is a fresh process: it has no file open and
nothing in memory of what was killed. What came out is written to OUT as JSON, for the test to judge.
"""

import argparse
import importlib
import io
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 (pyarrow imports it when it is first used, which would be in each child)

from koboshi.exits import run_and_exit
from tests.support.crash_scenes import Scene
from tests.support.forked import Forked, answer_of
from tests.support.ledger_statements import watch
from tests.support.system_calls import (
    SIGKILL,
    Call,
    MayNotTrace,
    changes,
    injected,
    injection,
    traced,
    unsafe_under_power_loss,
)

SHARDS = 2
SWEEP_S = 600
HOUR_S = 2 * 3_600.0
Point = tuple[str, Callable[[Path], dict[str, Any]]]


class Sweep:
    """The crash points of one scene."""

    def __init__(self, scene: Scene, folder: Path, strace: str) -> None:
        self.scene, self.folder, self.strace = scene, folder, strace
        self.before = self._new("before")
        answer_of(partial(scene.prepare, self.before))

    def undisturbed(self) -> tuple[list[Call], list[str], Any]:
        """The system calls and the ledger's moments of a run that nobody disturbs, and the state at its end.

        It is run a second time, hours later by its clock: a call that came or went, or another name, by the time alone
        would be a crash point that is not hit.
        """
        traces = []
        for name, enter in (("undisturbed", self._enter), ("again", self._enter_hours_later)):
            folder, log = self._copy(name), self.folder / f"{name}.log"
            end = traced(Forked(partial(enter, folder)), self.strace, log)
            assert end == (0, [0, ""]), end
            traces.append(changes(log, folder))
        assert [str(call) for call in traces[0]] == [str(call) for call in traces[1]], "the trace depends on the time"
        moments = answer_of(partial(self._moments, self._copy("statements")))
        return traces[0], moments, answer_of(partial(self.scene.state, self.folder / "undisturbed"))

    def at_call(self, fault: str, call: Call, folder: Path) -> dict[str, Any]:
        """A fault in one system call."""
        log = folder.with_suffix(".log")
        end = traced(Forked(partial(self._enter, folder)), self.strace, log, *injection(fault, call))
        fired = end[0] == -9 if fault == SIGKILL else injected(log)
        log.unlink()
        return {"fired": fired, "end": end}

    def at_moment(self, number: int, folder: Path) -> dict[str, Any]:
        """SIGKILL at a moment of the ledger."""
        child = Forked(partial(self._moments, folder, number))
        child.go()
        end = child.end()
        return {"fired": end[0] == -9, "end": end}

    def stopped(self, name: str, stop: Callable[[Path], dict[str, Any]], expected: Any) -> dict[str, Any]:
        """Stop at a crash point, look, enter again, look again."""
        folder = self._copy(f"at-{os.getpid()}")
        outcome = {"point": name, **stop(folder)}
        outcome |= answer_of(partial(self._entered_again, folder, expected))
        shutil.rmtree(folder)
        return outcome

    def _entered_again(self, folder: Path, expected: Any) -> dict[str, Any]:
        right_after = self.scene.violations(folder)
        _some_hours_later()
        code, said = self._enter(folder)
        state = json.loads(json.dumps(self.scene.state(folder)))
        return {
            "right_after": right_after,
            "again": (code, said),
            "at_the_end": self.scene.violations(folder),
            "same": state == expected,
            "state": None if state == expected else state,
        }

    def _enter(self, folder: Path) -> tuple[int, str]:
        """Enter the path as a command does: its exit code and what it said."""
        said = sys.stderr = io.StringIO()
        try:
            run_and_exit(partial(self.scene.enter, folder), "enter")
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()

    def _enter_hours_later(self, folder: Path) -> tuple[int, str]:
        _some_hours_later()
        return self._enter(folder)

    def _moments(self, folder: Path, kill_at: int = 0) -> list[str]:
        moments = watch(kill_at)
        self._enter(folder)
        return moments

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.before, self.folder / name))

    def _new(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True)
        return self.folder / name


def _some_hours_later() -> None:
    """The dead one's lease has run out, and its leftovers are old."""
    now = time.time
    time.time = lambda: now() + HOUR_S


def _points(sweep: Sweep, calls: Sequence[Call], moments: Sequence[str], wanted: argparse.Namespace) -> Iterator[Point]:
    for fault in wanted.fault:
        for call in calls:
            if re.fullmatch(wanted.only, call.name):
                yield f"{fault} at {call}", partial(sweep.at_call, fault, call)
    for number, moment in enumerate(moments if wanted.statements else (), start=1):
        if re.search(wanted.only, moment):
            yield f"SIGKILL {moment} (moment {number})", partial(sweep.at_moment, number)


def _shard(sweep: Sweep, points: Sequence[Point], expected: Any) -> list[dict[str, Any]]:
    return [sweep.stopped(name, stop, expected) for name, stop in points]


def _swept(sweep: Sweep, wanted: argparse.Namespace) -> dict[str, Any]:
    calls, moments, expected = sweep.undisturbed()
    points = list(_points(sweep, calls, moments, wanted))
    shards = [Forked(partial(_shard, sweep, points[n::SHARDS], expected), SWEEP_S) for n in range(SHARDS)]
    for shard in shards:
        shard.go()
    ends = [shard.end() for shard in shards]
    assert [code for code, _ in ends] == [0] * SHARDS, "a shard of the sweep failed: see above"
    return {
        "calls": [str(call) for call in calls],
        "moments": moments,
        "points": [name for name, _ in points],
        "outcomes": [outcome for _, outcomes in ends for outcome in outcomes],
        "unsafe_under_power_loss": unsafe_under_power_loss(calls),
    }


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("scene")
    words.add_argument("folder", type=Path)
    words.add_argument("out", type=Path)
    words.add_argument("--strace", required=True)
    words.add_argument("--fault", action="append", default=[])
    words.add_argument("--statements", action="store_true")
    words.add_argument("--only", default=".*")
    wanted = words.parse_args()
    module, _, name = wanted.scene.partition(":")
    sys.dont_write_bytecode = True
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads cannot be forked safely"
    try:
        found = _swept(Sweep(getattr(importlib.import_module(module), name)(), wanted.folder, wanted.strace), wanted)
    except MayNotTrace as error:
        found = {"may_not_trace": str(error)}
    wanted.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
