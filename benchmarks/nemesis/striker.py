"""Sends the faults of a schedule into a running training, each proved to have taken, and sees each recovered from."""

import dataclasses
import time
from collections.abc import Collection

from benchmarks.ensured import AttainedRun
from benchmarks.nemesis.schedule import DRIVER, FLIP, KILL, NODE, STOP, Fault
from benchmarks.timeline import Begun, Cost, cost
from koboshi.drills.drill import Injection
from koboshi.drills.kit.faults import flip_byte, kill, kill_part, resume, stop, why_not_healthy
from koboshi.events import JobBegan
from koboshi.ledger import steps
from koboshi.refs import CheckpointRef
from koboshi.settings import Settings

POLL_S = 0.02
USUAL_STEP_S = 0.15
RECOVERED_WITHIN_S = 240.0
WHOLE_WITHIN_S = 180.0


@dataclasses.dataclass(frozen=True, slots=True)
class Struck:
    """A fault that took: `recovered_s` is None when nothing was left to be done after it."""

    number: int
    kind: str
    target: str
    at_s: float
    recovered_s: float | None
    redone: int = 0


class NeverRecoveredError(Exception):
    """No step was committed for minutes after a fault."""


class Striker:
    """Strikes one training."""

    def __init__(self, settings: Settings, run: AttainedRun) -> None:
        self._settings, self._run = settings, run

    def strike(self, fault: Fault) -> Struck | None:
        """Wait for the fault's moment, send it, wait for recovery; None when the training had ended before."""
        if not self._rest(fault.after_steps):
            return None
        if fault.kind == NODE and (reason := why_not_healthy(self._settings, "ray", WHOLE_WITHIN_S)):
            raise NeverRecoveredError(f"the cluster is not whole: {reason}")
        victim = self._victim(fault)
        if victim is None:
            return None
        time.sleep(fault.moment * USUAL_STEP_S)
        unit, begun = victim
        strike, struck = self._send(fault.kind, unit, begun)
        if strike is None or not strike.took:
            return None
        paid = self._recovered([*self._run.spec.units] if fault.kind == DRIVER else [unit], strike, struck)
        if fault.kind == STOP:
            resume(struck)  # what wakes up late has to be of no consequence
        target = f"{unit} step {begun.step}, {strike}"
        after_s, redone = (paid.committed_s, paid.redone) if paid else (None, 0)
        return Struck(fault.number, fault.kind, target, strike.at_s, after_s, redone)

    def _send(self, kind: str, unit: str, begun: Begun) -> tuple[Injection | None, set[int]]:
        if kind == KILL:
            return kill("worker", [begun.pid]), {begun.pid}
        if kind == STOP:
            return stop("worker", [begun.pid]), {begun.pid}
        if kind == FLIP:
            return self._flip(unit, begun.pid), {begun.pid}
        if kind == DRIVER:
            driver = self._run.told(JobBegan)[-1][0].pid
            return kill("driver", [driver]), set(self._run.warm())
        nodes = self._run.warm()
        there = nodes.get(begun.pid)
        return (kill_part(self._settings, there) if there else None), {p for p, node in nodes.items() if node == there}

    def _flip(self, unit: str, pid: int) -> Injection | None:
        """The newest committed checkpoint rots, and the worker that does not need it dies: the next one reads it."""
        if (newest := self._newest(unit)) is None:
            return None
        flipped = flip_byte(self._run.spec.place.checkpoints / newest.path, f"checkpoint {newest.step}")
        return kill("worker", [pid], f"checkpoint {newest.step} flipped") if flipped.took else None

    def _newest(self, unit: str) -> CheckpointRef | None:
        """A step may be committed with a later one, and have no file of its own."""
        rows = steps.committed(self._run.ledger, self._run.spec.key, unit)
        return next((row.checkpoint for row in reversed(rows) if row.checkpoint.path), None)

    def _rest(self, commits: int) -> bool:
        """Wait for so many commits more."""
        first = len(self._run.committed())
        while len(self._run.committed()) < first + commits:
            if self._run.over:
                return False
            time.sleep(POLL_S)
        return True

    def _victim(self, fault: Fault) -> tuple[str, Begun] | None:
        """One of those at work; where a checkpoint is to rot, one that has a checkpoint."""
        while not self._run.over:
            at_work = sorted(self._run.at_work().items())
            able = [one for one in at_work if fault.kind != FLIP or self._newest(one[0])]
            if able:
                return able[int(fault.pick * len(able))]
            time.sleep(POLL_S)
        return None

    def _recovered(self, units: Collection[str], strike: Injection, struck: Collection[int]) -> Cost | None:
        """Until another process has done a step of a unit that was struck; None when there was none left to do."""
        deadline = time.monotonic() + RECOVERED_WITHIN_S
        while time.monotonic() < deadline:
            found = [cost(self._run.begun(u), self._run.committed(u), strike.at_s, struck) for u in units]
            if paid := [one for one in found if one is not None]:
                return min(paid, key=lambda one: one.committed_s)
            if self._run.over:
                return None
            time.sleep(POLL_S)
        raise NeverRecoveredError(f"nothing was committed for {RECOVERED_WITHIN_S:.0f} s after {strike}")
