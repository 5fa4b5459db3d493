"""Kills a worker every so many seconds, in the middle of a step, for as long as the training goes on."""

import dataclasses
import random
import time
from collections.abc import Callable

from benchmarks.ensured import AttainedRun
from benchmarks.timeline import Begun, Cost, cost
from koboshi.drills.drill import Injection
from koboshi.drills.kit.faults import kill_while
from koboshi.training.on_ray import step_name

POLL_S = 0.1
AIM_S = 0.3  # a worker whose title does not tell of the step by then has done it already
WORKED_S = (0.03, 0.3)
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Killed:
    """One worker that was killed, at which step of which unit, and when another one had that step committed."""

    unit: str
    step: int
    pid: int
    at_s: float
    detail: str
    recovered_s: float | None
    redone: int


class Killer:
    """Strikes one training, every `every_s` seconds from the first step on."""

    def __init__(self, run: AttainedRun, every_s: float, rng: random.Random, say: Say) -> None:
        self._run, self._every_s, self._rng, self._say = run, every_s, rng, say
        self._sent: list[tuple[Begun, Injection]] = []

    def until_over(self) -> None:
        """Inject on time; where nobody is in the middle of a step then, as soon as somebody is."""
        due = self._first_step_s() + self._every_s
        while not self._run.over:
            if time.time() < due:
                time.sleep(POLL_S)
            elif self._strike():
                due += self._every_s

    def killed(self) -> list[Killed]:
        """What was struck and what it cost, read from journal and ledger once the training has ended."""
        return [self._accounted(begun, strike) for begun, strike in self._sent]

    def _first_step_s(self) -> float:
        while not self._run.over:
            if begun := self._run.begun():
                return min(one.at_s for one in begun)
            time.sleep(POLL_S)
        return time.time()

    def _strike(self) -> bool:
        """Kill one of those at work, once the kernel shows it at its step and working: title and processor time."""
        at_work = sorted(self._run.at_work().items())
        if not at_work:
            time.sleep(POLL_S)
            return False
        unit, begun = self._rng.choice(at_work)
        until = time.monotonic() + AIM_S
        strike = kill_while(
            f"ray::{step_name(unit, begun.step)}",
            lambda: [begun.pid],
            lambda: self._run.over or time.monotonic() > until,
            self._rng.uniform(*WORKED_S),
        )
        if strike is None or not strike.took:
            return False
        self._sent.append((begun, strike))
        self._say(f"  kill {len(self._sent)}: {strike}")
        return True

    def _accounted(self, begun: Begun, strike: Injection) -> Killed:
        paid: Cost | None = cost(self._run.begun(begun.unit), self._run.committed(begun.unit), strike.at_s, {begun.pid})
        after_s, redone = (paid.committed_s, paid.redone) if paid else (None, 0)
        return Killed(begun.unit, begun.step, begun.pid, strike.at_s, strike.detail, after_s, redone)
