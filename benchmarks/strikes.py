"""Faults sent into a run, in the middle of a step, and what each cost: see `timeline.cost`."""

import dataclasses
import random
import time
from collections.abc import Callable

from benchmarks.contender import POLL_S, Run
from benchmarks.ensured import AttainedRun
from benchmarks.timeline import Begun, Cost, cost, in_hand, step_s
from koboshi.drills.drill import Injection
from koboshi.drills.kit.faults import kill, kill_part, resume, stop
from koboshi.errors import Unavailable
from koboshi.events import WorkerDied
from koboshi.settings import Settings
from koboshi.stack.parts.ray import HEAD

RECOVERED_WITHIN_S = 240.0
SETTLED_WITHIN_S = 180.0
ASK_S = 0.5
STEPS_BETWEEN = 3
SPARE_DIES_AFTER_S = (0.1, 1.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Recovery:
    """One fault, and what it cost; `step_s` is the run's own step before it. A peer does not tell what it has seen."""

    contender: str
    fault: str
    at_s: float
    begun_s: float
    committed_s: float
    redone: int
    step_s: float
    seen_s: float | None = None


AnyRun = Run | AttainedRun
Fault = Callable[[AnyRun, random.Random, Begun], tuple[Injection | None, set[int]]]


def kill_worker(_run: AnyRun, _rng: random.Random, worker: Begun) -> tuple[Injection | None, set[int]]:
    """SIGKILL to the worker that is at the step."""
    return kill("worker", [worker.pid]), {worker.pid}


def kill_worker_and_spare(run: AnyRun, rng: random.Random, worker: Begun) -> tuple[Injection | None, set[int]]:
    """SIGKILL to the worker, and to those that could take over, less than two seconds later."""
    spares = set(run.warm()) - {worker.pid}
    kill("worker", [worker.pid])
    time.sleep(rng.uniform(*SPARE_DIES_AFTER_S))
    return kill("spare", sorted(spares)), {worker.pid, *spares}


def stop_worker(_run: AnyRun, _rng: random.Random, worker: Begun) -> tuple[Injection | None, set[int]]:
    """SIGSTOP: it holds its step and says nothing more."""
    return stop("worker", [worker.pid]), {worker.pid}


def node_killer(settings: Settings) -> Fault:
    """SIGKILL to every process of the node that is at the step."""

    def kill_node(run: AnyRun, _rng: random.Random, worker: Begun) -> tuple[Injection | None, set[int]]:
        nodes = run.warm()
        node = nodes[worker.pid]
        there = {pid for pid, name in nodes.items() if name == node}
        return kill_part(settings, node), there

    return kill_node


def head_killer(settings: Settings) -> Fault:
    """SIGKILL to every process of the head: the job's driver is one of them."""

    def kill_head(run: AnyRun, _rng: random.Random, _worker: Begun) -> tuple[Injection | None, set[int]]:
        there = set(run.warm())
        return kill_part(settings, HEAD), there

    return kill_head


def strike(run: AnyRun, contender: str, name: str, fault: Fault, rng: random.Random) -> Recovery | None:
    """Send a fault at a random moment of a step of a run that has settled; None when the run ended before."""
    if not _settled(run):
        return None
    usual_s = step_s(run.committed())
    worker = _at_a_step(run)
    if worker is None:
        return None
    time.sleep(rng.uniform(0.0, usual_s))
    sent, struck = fault(run, rng, worker)
    if sent is None or not sent.took:
        return None
    found = _paid(run, worker.unit, sent, struck)
    if found is None:
        return None
    if name == "SIGSTOP":
        resume(struck)  # a worker that wakes up late has to be of no consequence
    seen = min((at - sent.at_s for _, at in run.told(WorkerDied) if at > sent.at_s), default=None)
    return Recovery(contender, name, sent.at_s, found.begun_s, found.committed_s, found.redone, usual_s, seen)


def _settled(run: AnyRun) -> bool:
    """Whether some steps were committed since the last fault, and a spare is warm again where there is to be one."""
    first, deadline = len(run.committed()), time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < deadline:
        rested = len(run.committed()) >= first + STEPS_BETWEEN
        if rested and (not run.ours or len(run.warm()) > run.spec.place.actors):
            return True
        if run.over:
            return False
        time.sleep(0.2)
    raise Unavailable(f"{run.contender.name} had not settled after {SETTLED_WITHIN_S:.0f} s.")


def _at_a_step(run: AnyRun) -> Begun | None:
    """The worker that begins the next step: None when there is none any more."""
    known = len(run.begun())
    while True:
        asked_again = time.monotonic() + ASK_S
        while time.monotonic() < asked_again:
            if len(begun := run.begun()) > known:
                return in_hand(begun, time.time())
            time.sleep(POLL_S)
        if run.over:
            return None


def _paid(run: AnyRun, unit: str, sent: Injection, struck: set[int]) -> Cost | None:
    deadline = time.monotonic() + RECOVERED_WITHIN_S
    while time.monotonic() < deadline:
        if (found := cost(run.begun(unit), run.committed(unit), sent.at_s, struck)) is not None:
            return found
        if run.over:
            return None
        time.sleep(0.1)
    raise Unavailable(f"{run.contender.name} had not recovered {RECOVERED_WITHIN_S:.0f} s after {sent}.")
