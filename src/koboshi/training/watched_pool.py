"""A pool whose workers are listened to: one that is stopped, silent or hung is ended, and reported as dead."""

import time
from collections.abc import Callable, Sequence

from koboshi.heartbeat import Beats, Suspicion, Watch, progress_limit_s
from koboshi.heartbeat.beat import DEAD
from koboshi.training.pool import Pool, PoolEvent, StepDone, StepFailed, WorkerDied, WorkerReady
from koboshi.training.standing import Seen
from koboshi.training.worker import StepOrder

LOOK_S = 0.1  # between two looks: a fifth of a beat
TOLD_S = 1.0  # within which the pool itself tells of a process that is gone, and knows best why


class WatchedPool:
    """`pool`, whose workers beat to `beats`. Whoever is suspected is killed at once, by the process beside it.

    A worker that was ended and is heard again (its network was cut, say) is killed then; what it still brings is not
    waited for, and its driver alone commits.
    """

    def __init__(self, pool: Pool, beats: Beats, watch: Watch, now: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._beats, self._watch, self._now = pool, beats, watch, now
        self._longest_s: dict[str, float] = {}
        self._at: dict[str, str] = {}
        self._ended: set[str] = set()
        self._gone_since: dict[str, float] = {}
        self._ready: dict[str, WorkerReady] = {}

    @property
    def places(self) -> int:
        """As the pool's."""
        return self._pool.places

    def grow(self) -> None:
        """Start a worker; it is watched from its first beat on."""
        self._pool.grow()

    def begin(self, worker: str, order: StepOrder) -> None:
        """Give a step; from now on the worker has to come to its end."""
        limit_s = progress_limit_s(order.spec.step_limit_s, self._longest_s.get(order.unit, 0.0))
        self._at[worker] = order.unit
        self._watch.began(worker, order.unit, order.step, limit_s, self._now())
        self._pool.begin(worker, order)

    def end(self, worker: str) -> None:
        """End a worker in both ways: Ray asks it, which a stopped process does not hear; the kernel does not ask."""
        self._watch.remove(worker)
        self._ready.pop(worker, None)
        self._ended.add(worker)
        self._beats.kill(worker)
        self._pool.end(worker)

    def seen(self) -> list[Seen]:
        """What is known of each warm worker just now, for people to look at."""
        now, watch = self._now(), self._watch
        return [
            Seen(
                name, ready.pid, ready.node, watch.newest(name), watch.silence_s(name, now), watch.suspicion(name, now)
            )
            for name, ready in self._ready.items()
        ]

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        """The pool's events and the deaths of those that were suspected."""
        until = self._now() + timeout_s
        while True:
            events = [*map(self._noted, self._pool.next_events(min(LOOK_S, timeout_s))), *self._looked()]
            if events or self._now() >= until:
                return events

    def _noted(self, event: PoolEvent) -> PoolEvent:
        match event:
            case WorkerReady(worker):
                self._ready[worker] = event
                self._watch.add(worker)
            case WorkerDied(worker):
                self._ready.pop(worker, None)
                self._watch.remove(worker)
            case StepFailed(worker):
                self._watch.ended(worker)
            case StepDone(worker, result):
                self._watch.ended(worker)
                unit = self._at[worker]
                self._longest_s[unit] = max(result.seconds, self._longest_s.get(unit, 0.0))
        return event

    def _looked(self) -> list[PoolEvent]:
        arrivals = self._beats.arrived()
        for worker in {arrival.beat.worker for arrival in arrivals if arrival.beat.state != DEAD} & self._ended:
            self._beats.kill(worker)
        suspicions = self._watch.look(arrivals, self._now())
        return [self._dead(suspicion) for suspicion in suspicions if not self._will_be_told(suspicion)]

    def _will_be_told(self, suspicion: Suspicion) -> bool:
        now = self._now()
        return suspicion.cause == "dead" and now - self._gone_since.setdefault(suspicion.worker, now) < TOLD_S

    def _dead(self, suspicion: Suspicion) -> WorkerDied:
        self.end(suspicion.worker)
        return WorkerDied(suspicion.worker, f"{suspicion.cause}: {suspicion.evidence}")
