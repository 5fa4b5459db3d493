"""Acts: gives steps to workers, commits what they have done, and starts again elsewhere what a death interrupted."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from koboshi.errors import Permanent, Transient
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.held_lease import HeldLease, holding
from koboshi.ledger.holders import this_process
from koboshi.refs import DatasetRef
from koboshi.training import checkpoints
from koboshi.training.pool import Pool, PoolEvent, StepDone, StepFailed, WorkerDied, WorkerReady
from koboshi.training.restart import decide_restart
from koboshi.training.resumption import Resumption
from koboshi.training.run_state import (
    Action,
    Begun,
    Committed,
    Event,
    GiveUp,
    Grow,
    Interrupted,
    Lost,
    Order,
    Poisoned,
    Ready,
    Retire,
    RunState,
    SetAside,
    UnitState,
)
from koboshi.training.spec import TrainingSpec
from koboshi.training.worker import StepOrder, StepResult

TAKEOVER_S = 120.0  # how long to wait for the driver before us to end or to lose its lease


def train(spec: TrainingSpec, pool: Pool, ledger: Ledger, journal: Journal, say: Callable[[str], None]) -> None:
    """Do all steps of all units that are not committed yet.

    Key: the spec's key. Under a crash of a worker: its unit goes on elsewhere from the newest committed step that
    verifies. Under a crash of this driver: the next one waits for the lease and goes on in the same way. A unit whose
    step comes to nothing each time is set aside, and the others go on. Raises `Fenced` when another driver took over,
    `Permanent` when a unit was set aside, `Transient` when no worker starts, or a unit may fare better later.
    """
    holder = f"{uuid.uuid4().hex[:8]}.{this_process()}"
    with holding(ledger, f"training/{spec.key}", holder, spec.place.lease_s, TAKEOVER_S) as held:
        _Driver(spec, pool, ledger, journal, say, held).run()


class _Driver:
    def __init__(
        self,
        spec: TrainingSpec,
        pool: Pool,
        ledger: Ledger,
        journal: Journal,
        say: Callable[[str], None],
        held: HeldLease,
    ) -> None:
        self._spec, self._pool, self._ledger, self._journal, self._say = spec, pool, ledger, journal, say
        self._held = held
        self._resumption = Resumption(spec, ledger, held, journal, say)
        units = {name: UnitState(unit.steps, self._resumption.done(name)) for name, unit in spec.units.items()}
        self._state = RunState.of(min(spec.place.actors, pool.places), units, self._resumption.gangs)
        self._suspected_at: dict[str, float] = {}

    def run(self) -> None:
        for name, unit in self._state.units.items():
            if unit.done:
                self._say(f"{name}: {unit.done} of {unit.total} steps are committed already")
            if 0 < unit.done < unit.total:
                self._record("taken up", unit=name, step=unit.done)
        self._decide(Begun())
        while not self._state.finished:
            self._held.keep()
            self._take_in(self._pool.next_events(self._spec.place.lease_s / 4))
        if poisoned := self._state.poisoned:
            raise _partial(poisoned, len(self._state.units))

    def _take_in(self, events: Sequence[PoolEvent]) -> None:
        """Steps that come together are committed together; what each event means is decided in the order they came."""
        self._commit([event for event in events if isinstance(event, StepDone)])
        for event in events:
            self._decide(self._taken_in(event))

    def _decide(self, event: Event) -> None:
        self._state, actions = decide_restart(self._state, event)
        for action in actions:
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Order():
                self._pool.begin(action.worker, self._step_order(action))
            case Grow():
                self._pool.grow()
            case Retire():
                self._retire(action)
            case SetAside(unit, poisoned):
                self._record("unit set aside", unit=unit, step=poisoned.step, reason=poisoned.reason)
                self._say(f"{unit}: set aside, {_told(poisoned)}; the others go on")
            case GiveUp():
                self._record("given up", reason=action.reason)
                raise Transient(f"{action.reason.rstrip('.')}.")

    def _retire(self, action: Retire) -> None:
        self._record("worker retired", unit=action.unit, worker=action.worker, reason=action.reason)
        self._say(f"{action.unit}: {action.worker} is used no more ({action.reason})")
        self._pool.end(action.worker)

    def _taken_in(self, event: PoolEvent) -> Event:
        """What a pool's event means for the run, once the ledger knows of it."""
        match event:
            case WorkerReady(worker, pid, node):
                self._record("worker ready", worker=worker, pid=pid, node=node)
                self._say(f"{worker} is ready (pid {pid} on {node})")
                return Ready(worker)
            case StepDone(worker, result):
                self._tell(result, worker)
                return Committed(worker, result.seconds)
            case WorkerDied() | StepFailed():
                return self._interrupted(event)

    def _commit(self, done: Sequence[StepDone]) -> None:
        """The commit point of table → checkpoint is `steps.commit`; files of older steps go only after it."""
        if not done:
            return
        results = [event.result for event in done]
        steps.commit(self._ledger, self._held.lease, [(result.checkpoint, result.metrics) for result in results])
        for result in results:
            checkpoint = result.checkpoint
            self._resumption.committed(checkpoint, result.metrics)
            committed = steps.committed(self._ledger, checkpoint.run_key, checkpoint.unit)
            checkpoints.drop_old(self._spec.place.checkpoints, committed)

    def _tell(self, result: StepResult, worker: str) -> None:
        done = result.checkpoint
        metrics = " ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        total = self._state.units[done.unit].total
        self._say(f"{done.unit}: step {done.step}/{total} {metrics} ({result.seconds:.2f} s, {worker})")
        if (since := self._suspected_at.pop(done.unit, None)) is not None:
            after = time.monotonic() - since
            self._record("recovered", unit=done.unit, step=done.step, worker=worker, after_s=after)
            self._say(f"{done.unit}: recovered, step {done.step} was done again on {worker} after {after:.2f} s")

    def _interrupted(self, event: WorkerDied | StepFailed) -> Event:
        worker, reason, alive = event.worker, event.reason, isinstance(event, StepFailed)
        unit = self._state.at.get(worker)
        what = "step failed" if alive else "worker died"
        if unit is None:
            self._record(what, worker=worker, reason=reason)
            return Lost(worker, reason)
        self._suspected_at.setdefault(unit, time.monotonic())
        step = self._state.units[unit].done + 1
        self._record(what, unit=unit, step=step, worker=worker, reason=reason)
        done = self._resumption.look_again(unit)
        self._say(f"{unit}: {what} at step {step} on {worker} ({reason}); it goes on from step {done[unit]}")
        fell = {name: at for name, at in done.items() if name != unit and at < self._state.units[name].done}
        return Interrupted(worker, done[unit], alive, reason, event.kind, fell)

    def _step_order(self, order: Order) -> StepOrder:
        spec, place = self._spec, self._spec.place
        table = DatasetRef(str(Path(place.project) / spec.table.path), spec.table.manifest_sha256)
        return StepOrder(
            run_key=spec.key,
            unit=order.unit,
            spec=spec.units[order.unit],
            table=table,
            step=order.step,
            resume=self._resumption.checkpoint(order.unit),
            peers=self._resumption.peers(order.unit, order.step),
            store=str(place.checkpoints),
            journal=str(place.journal),
        )

    def _record(self, event: str, **facts: object) -> None:
        self._journal.record(event, run=self._spec.key, **facts)


def _partial(poisoned: Mapping[str, Poisoned], units: int) -> Permanent | Transient:
    """How a run ends that could not do all: 75 if every unit that is missing may fare better later, 65 otherwise."""
    told = "; ".join(f"{name} was set aside, {_told(reason)}" for name, reason in poisoned.items())
    later = all(reason.again for reason in poisoned.values())
    return (Transient if later else Permanent)(f"{units - len(poisoned)} of {units} units are trained: {told}.")


def _told(poisoned: Poisoned) -> str:
    return f"step {poisoned.step} came to nothing each time, last because {poisoned.reason.rstrip('.')}"
