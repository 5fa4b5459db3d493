"""A pool in this process, whose workers die when the test says so: faults are items of the input."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from koboshi.training.driver.pool import PoolEvent, StepReturned, WorkerGone, WorkerWarm, step_raised
from koboshi.training.driver.worker import StepOrder, UnitWorker

BEFORE, AFTER = "before the file is written", "after the file is written, before its commit"


class LocalPool:
    """`deaths` names (unit, step, BEFORE or AFTER) once for each time that its worker dies there."""

    def __init__(self, deaths: Iterable[tuple[str, int, str]] = (), stillborn: int = 0) -> None:
        self.deaths, self.stillborn = Counter(deaths), stillborn
        self.workers: dict[str, UnitWorker] = {}
        self.events: deque[PoolEvent] = deque()
        self.begun: list[tuple[str, int]] = []
        self.started = 0
        self.ended: list[str] = []
        self.places = 99

    def grow(self) -> None:
        self.started += 1
        name = f"worker-{self.started}"
        if self.started <= self.stillborn:
            self.events.append(WorkerGone(name, "it never came up"))
            return
        self.workers[name] = UnitWorker(())
        self.events.append(WorkerWarm(name, self.workers[name].hello(), "here"))

    def begin(self, worker: str, order: StepOrder) -> None:
        self.begun.append((order.unit, order.step))
        if self._dies(order, BEFORE):
            return self._die(worker)
        try:
            result = self.workers[worker].run_step(order)
        except Exception as error:  # noqa: BLE001 (as Ray does: whatever a step raises comes back to the driver)
            self.events.append(step_raised(worker, error))
            return None
        if self._dies(order, AFTER):
            return self._die(worker)
        self.events.append(StepReturned(worker, result))
        return None

    def end(self, worker: str) -> None:
        del self.workers[worker]
        self.ended.append(worker)

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:  # noqa: ARG002 (nothing here takes time)
        return [self.events.popleft()] if self.events else ()

    def _dies(self, order: StepOrder, when: str) -> bool:
        key = (order.unit, order.step, when)
        self.deaths[key] -= 1
        return self.deaths[key] >= 0

    def _die(self, worker: str) -> None:
        del self.workers[worker]
        self.events.append(WorkerGone(worker, "killed by the test"))
