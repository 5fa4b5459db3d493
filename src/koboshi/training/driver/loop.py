"""Acts: gives steps to workers, commits what they have done, and starts again elsewhere what a death interrupted."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from koboshi import events
from koboshi.errors import Fenced, LeaseTaken, Permanent, Transient
from koboshi.events import Sink, to_all
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.leases import HeldLease, holding, new_holder
from koboshi.ledger.steps import CommittedStep
from koboshi.sinks import open_sinks
from koboshi.training.checkpoints import run_folder, store_at
from koboshi.training.checkpoints.retention import Retention
from koboshi.training.driver import run_state
from koboshi.training.driver.pool import (
    Pool,
    PoolEvent,
    StepRaised,
    StepReturned,
    SupervisedPool,
    WorkerGone,
    WorkerWarm,
)
from koboshi.training.driver.restart import decide_restart
from koboshi.training.driver.resumption import Resumption, Row, Uncommitted
from koboshi.training.driver.run_state import RunState, UnitState
from koboshi.training.driver.status import StatusFile, status_path, unseen
from koboshi.training.driver.worker import StepOrder, StepResult
from koboshi.training.spec import TrainingSpec

TAKEOVER_S = 120.0  # how long to wait for the driver before us to end or to lose its lease
SHOWN_S = 1.0  # who watches sees at least that often how the run stands

OpenPool = Callable[[TrainingSpec, str, Sink], AbstractContextManager[Pool]]


def train(
    spec: TrainingSpec,
    pool: Pool,
    ledger: Ledger,
    emit: Sink,
    show: Callable[[RunState], None] = unseen,
) -> None:
    """Do all steps of all units that are not committed yet.

    Key: the spec's key. Under a crash of a worker: its unit goes on elsewhere from the newest committed step that
    verifies. Under a crash of this driver: the next one waits for the lease and goes on in the same way. A unit whose
    step comes to nothing each time is quarantined, and the others go on. Raises `Fenced` when another driver took over,
    `Permanent` when a unit was quarantined, `Transient` when no worker starts, or a unit may fare better later. `show`
    is called before each wait for the workers, and has to be cheap.
    """
    with holding(ledger, f"training/{spec.key}", new_holder(), spec.place.lease_s, TAKEOVER_S) as held:
        _Driver(spec, pool, ledger, emit, held, show).run()


class _Driver:
    def __init__(
        self,
        spec: TrainingSpec,
        pool: Pool,
        ledger: Ledger,
        emit: Sink,
        held: HeldLease,
        show: Callable[[RunState], None],
    ) -> None:
        self._spec, self._pool, self._ledger, self._emit = spec, pool, ledger, emit
        self._held, self._show = held, show
        self._resumption = Resumption(spec, ledger, held, emit)
        units = {name: UnitState(unit.steps, self._resumption.done(name)) for name, unit in spec.units.items()}
        self._state = RunState.of(min(spec.place.actors, pool.places), units, self._resumption.gangs)
        self._uncommitted, self._paused = Uncommitted(spec.key), set[str]()
        self._retention = Retention(store_at(spec.place.store_url), spec.place.kept, spec.place.kept_s, emit, spec.key)
        self._suspected_at: dict[str, float] = {}

    def run(self) -> None:
        with closing(self._retention):
            self._sweep()
            self._run()

    def _sweep(self) -> None:
        """Leftovers of killed workers go, before any worker of ours is at work."""
        key = self._spec.key
        committed = {name: steps.committed(self._ledger, key, name) for name in self._spec.units}
        self._retention.begin(run_folder(key), committed, steps.paths(self._ledger, key), time.time())

    def _run(self) -> None:
        for name, unit in self._state.units.items():
            if unit.done == unit.total:
                self._emit(events.UnitComplete(run=self._spec.key, unit=name, steps=unit.total))
            elif unit.done:
                self._emit(events.TakenUp(run=self._spec.key, unit=name, step=unit.done, total=unit.total))
        self._decide(run_state.Begun())
        while not self._state.finished:
            self._held.keep()
            self._show(self._state)
            self._take_in(self._pool.next_events(min(self._spec.place.lease_s / 4, SHOWN_S)))
        self._show(self._state)
        if poisoned := self._state.poisoned:
            raise _partial(poisoned, len(self._state.units))

    def _take_in(self, events: Sequence[PoolEvent]) -> None:
        """Steps that come together are committed together; what each event means is decided in the order they came.

        Where nothing went wrong the next orders go out first, so that no worker waits for the ledger: what is begun on
        top of a step counts only after it. Whoever asks the ledger where to go on from has to find the step there.
        """
        done = [event for event in events if isinstance(event, StepReturned)]
        rows = self._durable(done)
        if len(done) < len(events):
            self._commit(rows)
            rows = []
        for event in events:
            self._decide(self._taken_in(event))
        self._commit(rows)

    def _decide(self, event: run_state.Input) -> None:
        self._state, actions = decide_restart(self._state, event)
        for action in actions:
            self._act(action)

    def _act(self, action: run_state.Action) -> None:
        match action:
            case run_state.Order():
                self._pool.begin(action.worker, self._step_order(action))
            case run_state.Grow():
                self._pool.grow()
            case run_state.Retire(worker, unit, reason):
                self._emit(events.WorkerRetired(run=self._spec.key, unit=unit, worker=worker, reason=reason))
                self._pool.end(worker)
            case run_state.Quarantine(unit, run_state.Poisoned(step, reason)):
                self._emit(events.UnitQuarantined(run=self._spec.key, unit=unit, step=step, reason=reason))
            case run_state.GiveUp():
                self._emit(events.GivenUp(run=self._spec.key, reason=action.reason))
                raise Transient(f"{action.reason.rstrip('.')}.")

    def _taken_in(self, event: PoolEvent) -> run_state.Input:
        """What a pool's event means for the run, once the ledger knows of it."""
        match event:
            case WorkerWarm(worker, pid, node):
                self._emit(events.WorkerReady(run=self._spec.key, worker=worker, pid=pid, node=node))
                return run_state.Ready(worker)
            case StepReturned(worker, result):
                if worker in self._state.at:  # and was not ended by what came with it
                    self._tell(result, worker)
                return run_state.Committed(worker, result.seconds, result.at_risk)
            case WorkerGone() | StepRaised():
                return self._interrupted(event)

    def _durable(self, done: Sequence[StepReturned]) -> list[Row]:
        """What can be committed. A step whose state is not durable is not, before a later one of its unit is."""
        rows = [row for event in done for row in self._uncommitted.done(self._state, event)]
        for checkpoint, _metrics in rows:
            if checkpoint.path:
                self._resumption.goes_on_from(checkpoint)
        return rows

    def _commit(self, rows: Sequence[Row]) -> None:
        """The commit point of table → checkpoint is `steps.commit`; files of older steps go only after it."""
        if not rows:
            return
        steps.commit(self._ledger, self._held.lease, rows)
        now = time.time()
        for checkpoint, metrics in rows:
            if checkpoint.path:
                self._retention.committed(CommittedStep(checkpoint, metrics, now), now)

    def _tell(self, result: StepResult, worker: str) -> None:
        run, unit = self._spec.key, self._state.at[worker]
        state = self._state.units[unit]
        self._emit(
            events.StepDone(
                run=run,
                unit=unit,
                step=state.next,
                total=state.total,
                metrics=result.metrics,
                seconds=result.seconds,
                worker=worker,
                at_risk=result.at_risk,
                trouble=result.trouble,
            )
        )
        self._tell_of_pauses(unit, result)
        if result.checkpoint and (since := self._suspected_at.pop(unit, None)) is not None:
            step, after_s = result.checkpoint.step, time.monotonic() - since
            self._emit(events.Recovered(run=run, unit=unit, step=step, worker=worker, after_s=after_s))

    def _tell_of_pauses(self, unit: str, result: StepResult) -> None:
        run = self._spec.key
        if result.trouble and unit not in self._paused:
            self._paused.add(unit)
            self._emit(events.CheckpointsPaused(run=run, unit=unit, at_risk=result.at_risk, reason=result.trouble))
        elif not result.trouble and unit in self._paused:
            self._paused.remove(unit)
            self._emit(events.CheckpointsGoOn(run=run, unit=unit))

    def _interrupted(self, event: WorkerGone | StepRaised) -> run_state.Input:
        worker, reason, alive = event.worker, event.reason, isinstance(event, StepRaised)
        run, unit = self._spec.key, self._state.at.get(worker, "")
        step = self._state.units[unit].next if unit else 0
        lost, cause = (events.WorkerDied, event.cause) if isinstance(event, WorkerGone) else (events.StepFailed, "")
        self._emit(lost(run=run, unit=unit, step=step, worker=worker, reason=reason, cause=cause))
        if not unit:
            return run_state.Lost(worker, reason)
        self._suspected_at.setdefault(unit, time.monotonic())
        self._uncommitted.forget(unit)
        done = self._resumption.look_again(unit)
        for name, at in done.items():
            self._retention.resumed(name, at)
        self._emit(events.UnitGoesOn(run=run, unit=unit, step=done[unit]))
        fell = {name: at for name, at in done.items() if name != unit and at < self._state.units[name].done}
        return run_state.Interrupted(worker, done[unit], alive, reason, event.kind, fell)

    def _step_order(self, order: run_state.Order) -> StepOrder:
        spec, place = self._spec, self._spec.place
        return StepOrder(
            run_key=spec.key,
            unit=order.unit,
            spec=spec.units[order.unit],
            table=dataclasses.replace(spec.table, path=str(Path(place.project) / spec.table.path)),
            step=order.step,
            resume=self._resumption.checkpoint(order.unit),
            peers=self._resumption.peers(order.unit, order.step),
            store=place.store_url,
            journal=str(place.journal),
        )


def _partial(poisoned: Mapping[str, run_state.Poisoned], units: int) -> Permanent | Transient:
    """How a run ends that could not do all: 75 if every unit that is missing may fare better later, 65 otherwise."""
    told = "; ".join(
        f"{name} was quarantined, step {one.step} came to nothing each time, last because {one.reason.rstrip('.')}"
        for name, one in poisoned.items()
    )
    later = all(reason.again for reason in poisoned.values())
    return (Transient if later else Permanent)(f"{units - len(poisoned)} of {units} units are trained: {told}.")


def run_job(open_pool: OpenPool) -> None:
    """Train what the file in argv[1] specifies; argv[2] is the job's name.

    A driver that was fenced ends with 75, not 65: *it* may commit nothing more, but the training goes on under the
    driver that took over, and whoever follows this job should look there.
    """
    spec, name = TrainingSpec.from_json(Path(sys.argv[1]).read_text()), sys.argv[2]
    ledger, emit = Ledger(spec.place.ledger_url), to_all(Journal(spec.place.journal).emit, open_sinks())
    emit(events.JobBegan(run=spec.key, job=name, pid=os.getpid()))
    try:
        with open_pool(spec, name, emit) as pool:
            seen = pool.seen if isinstance(pool, SupervisedPool) else tuple
            status = StatusFile(status_path(Path(spec.place.state_dir), spec.key), spec.key, name, seen)
            train(spec, pool, ledger, emit, status.show)
    except Fenced as error:
        raise LeaseTaken(str(error)) from error
    emit(events.JobDone(run=spec.key, job=name))
