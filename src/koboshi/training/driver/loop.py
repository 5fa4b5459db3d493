"""Acts: gives steps to workers, commits what they have done, and starts again elsewhere what a death interrupted."""

import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from koboshi.errors import Fenced, LeaseTaken, Permanent, Transient
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.leases import HeldLease, holding, this_process
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import DatasetRef
from koboshi.training.checkpoints import run_folder, store_at
from koboshi.training.checkpoints.retention import Retention
from koboshi.training.driver.pool import Pool, PoolEvent, StepDone, StepFailed, WatchedPool, WorkerDied, WorkerReady
from koboshi.training.driver.restart import decide_restart
from koboshi.training.driver.resumption import Resumption, Row, Uncommitted
from koboshi.training.driver.run_state import (
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
from koboshi.training.driver.standing import StatusFile, status_path, unseen
from koboshi.training.driver.worker import StepOrder, StepResult
from koboshi.training.spec import TrainingSpec

TAKEOVER_S = 120.0  # how long to wait for the driver before us to end or to lose its lease
SHOWN_S = 1.0  # who watches sees at least that often how the run stands


def train(
    spec: TrainingSpec,
    pool: Pool,
    ledger: Ledger,
    journal: Journal,
    say: Callable[[str], None],
    show: Callable[[RunState], None] = unseen,
) -> None:
    """Do all steps of all units that are not committed yet.

    Key: the spec's key. Under a crash of a worker: its unit goes on elsewhere from the newest committed step that
    verifies. Under a crash of this driver: the next one waits for the lease and goes on in the same way. A unit whose
    step comes to nothing each time is set aside, and the others go on. Raises `Fenced` when another driver took over,
    `Permanent` when a unit was set aside, `Transient` when no worker starts, or a unit may fare better later. `show` is
    called before each wait for the workers, and has to be cheap.
    """
    holder = f"{uuid.uuid4().hex[:8]}.{this_process()}"
    with holding(ledger, f"training/{spec.key}", holder, spec.place.lease_s, TAKEOVER_S) as held:
        _Driver(spec, pool, ledger, journal, say, held, show).run()


class _Driver:
    def __init__(
        self,
        spec: TrainingSpec,
        pool: Pool,
        ledger: Ledger,
        journal: Journal,
        say: Callable[[str], None],
        held: HeldLease,
        show: Callable[[RunState], None],
    ) -> None:
        self._spec, self._pool, self._ledger, self._journal, self._say = spec, pool, ledger, journal, say
        self._held, self._show = held, show
        self._resumption = Resumption(spec, ledger, held, journal, say)
        units = {name: UnitState(unit.steps, self._resumption.done(name)) for name, unit in spec.units.items()}
        self._state = RunState.of(min(spec.place.actors, pool.places), units, self._resumption.gangs)
        self._uncommitted, self._paused = Uncommitted(spec.key), set[str]()
        self._retention = Retention(store_at(spec.place.store_url), spec.place.kept, spec.place.kept_s, say)
        self._suspected_at: dict[str, float] = {}

    def run(self) -> None:
        self._sweep()
        try:
            self._run()
        finally:
            self._retention.close()

    def _sweep(self) -> None:
        """Leftovers of killed workers go, before any worker of ours is at work."""
        key = self._spec.key
        committed = {name: steps.committed(self._ledger, key, name) for name in self._spec.units}
        self._retention.begin(run_folder(key), committed, steps.paths(self._ledger, key), time.time())

    def _run(self) -> None:
        for name, unit in self._state.units.items():
            if unit.done:
                self._say(f"{name}: {unit.done} of {unit.total} steps are committed already")
            if 0 < unit.done < unit.total:
                self._record("taken up", unit=name, step=unit.done)
        self._decide(Begun())
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
        done = [event for event in events if isinstance(event, StepDone)]
        rows = self._durable(done)
        if len(done) < len(events):
            self._commit(rows)
            rows = []
        for event in events:
            self._decide(self._taken_in(event))
        self._commit(rows)

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
                if worker in self._state.at:  # and was not ended by what came with it
                    self._tell(result, worker)
                return Committed(worker, result.seconds, result.at_risk)
            case WorkerDied() | StepFailed():
                return self._interrupted(event)

    def _durable(self, done: Sequence[StepDone]) -> list[Row]:
        """What can be committed. A step whose state is not durable is not, before a later one of its unit is."""
        rows = [row for event in done for row in self._uncommitted.done(self._state, event)]
        for checkpoint, metrics in rows:
            if checkpoint.path:
                self._resumption.goes_on_from(checkpoint, metrics)
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
        unit = self._state.at[worker]
        step, total = self._state.units[unit].next, self._state.units[unit].total
        metrics = " ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        self._say(f"{unit}: step {step}/{total} {metrics} ({result.seconds:.2f} s, {worker})")
        self._tell_of_pauses(unit, result)
        if result.checkpoint and (since := self._suspected_at.pop(unit, None)) is not None:
            step, after = result.checkpoint.step, time.monotonic() - since
            self._record("recovered", unit=unit, step=step, worker=worker, after_s=after)
            self._say(f"{unit}: recovered, step {step} was done again on {worker} after {after:.2f} s")

    def _tell_of_pauses(self, unit: str, result: StepResult) -> None:
        if result.trouble:
            self._say(f"{unit}: {result.at_risk} steps are in memory alone, a death would cost them: {result.trouble}")
        if result.trouble and unit not in self._paused:
            self._paused.add(unit)
            self._record("checkpoints paused", unit=unit, at_risk=result.at_risk, reason=result.trouble)
        elif not result.trouble and unit in self._paused:
            self._paused.remove(unit)
            self._record("checkpoints go on", unit=unit)
            self._say(f"{unit}: checkpoints go on")

    def _interrupted(self, event: WorkerDied | StepFailed) -> Event:
        worker, reason, alive = event.worker, event.reason, isinstance(event, StepFailed)
        unit = self._state.at.get(worker)
        what = "step failed" if alive else "worker died"
        if unit is None:
            self._record(what, worker=worker, reason=reason)
            return Lost(worker, reason)
        self._suspected_at.setdefault(unit, time.monotonic())
        step = self._state.units[unit].next
        self._uncommitted.forget(unit)
        self._record(what, unit=unit, step=step, worker=worker, reason=reason)
        done = self._resumption.look_again(unit)
        for name, at in done.items():
            self._retention.resumed(name, at)
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
            store=place.store_url,
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


OpenPool = Callable[[TrainingSpec, str, Callable[[str], None]], AbstractContextManager[Pool]]


def run_job(open_pool: OpenPool) -> None:
    """Train what the file in argv[1] specifies; argv[2] is the job's name.

    A driver that was fenced ends with 75, not 65: *it* may commit nothing more, but the training goes on under the
    driver that took over, and whoever follows this job should look there.
    """
    spec = TrainingSpec.from_json(Path(sys.argv[1]).read_text())
    name = sys.argv[2]
    ledger, journal = Ledger(spec.place.ledger_url), Journal(spec.place.journal)
    journal.record("job began", run=spec.key, job=name, pid=os.getpid())
    try:
        with open_pool(spec, name, _say) as pool:
            seen = pool.seen if isinstance(pool, WatchedPool) else tuple
            status = StatusFile(status_path(Path(spec.place.state_dir), spec.key), spec.key, name, seen)
            train(spec, pool, ledger, journal, _say, status.show)
    except Fenced as error:
        raise LeaseTaken(str(error)) from error
    journal.record("job done", run=spec.key, job=name)


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
