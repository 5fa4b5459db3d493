"""Trainings go to MLflow: the finished ones through the outbox, and those under way step by step.

At once where MLflow takes them, later where it is away. What is told of a training under way is in the ledger already,
and its finished record says all of it again: so nothing is lost when MLflow is away, or when who tells is killed. The
next one catches up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from mlflow import MlflowClient
from mlflow.entities import Run

from koboshi.errors import Conflict, Corrupt, Fenced, NotConfigured, Transient
from koboshi.events import RecordDelivered, RecordPostponed, RecordQuarantined, RecordWaits, Sink, TrainingRecorded
from koboshi.journal import Journal
from koboshi.ledger import Ledger, intents, steps
from koboshi.ledger.leases import HeldLease, holding, is_held, new_holder
from koboshi.registry import mlflow_lookup
from koboshi.registry.facts import Mark
from koboshi.registry.facts import marks as marks_of
from koboshi.registry.mlflow_connection import asking
from koboshi.registry.mlflow_facts import RECOVERED, marks_by_step
from koboshi.registry.mlflow_lookup import FAILED, FINISHED, KEY_TAG, RUNNING, ExperimentDeleted
from koboshi.registry.mlflow_runs import TrainingRuns, record_training, the_training, the_unit
from koboshi.registry.outbox import REFUSED, Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord

LEASE, LEASE_S = "outbox", 120.0  # longer than one request to a server that is silent may take
TURN_S = 60.0  # how long to wait for another deliverer


def deliver(outbox: Outbox, ledger: Ledger, tracking_uri: str, emit: Sink) -> int:
    """Record in MLflow what waits in the outbox, in its order; returns how many entries were delivered.

    Key: the entry's training, looked up in MLflow before it is made. Commit: MLflow's, see `record_training`; only then
    is the entry removed. Under a crash anywhere between, the next delivery goes on with the same entry and completes
    what is there. One deliverer at a time, under a lease. An entry that is corrupt, or that MLflow refuses, is
    quarantined, one whose experiment was deleted waits on, and neither keeps the others waiting. Raises `Unavailable`
    when MLflow is away, `NotConfigured` when it lets nobody in: the rest waits on.
    """
    if not outbox.entries():
        return 0
    with delivering(ledger, TURN_S) as held:
        return _deliver(outbox, held, tracking_uri, emit)


def hand_over(outbox: Outbox, ledger: Ledger, tracking_uri: str | None, training: TrainingRecord, emit: Sink) -> bool:
    """Record a training in MLflow, after what waits already; where MLflow is away, put it into the outbox.

    Returns whether it is in MLflow. Its models are copied only in the second case. Key: the training's key. Commit:
    `record_training` or `Outbox.add`, whichever comes to its end. Raises `DiskFailed`, and `Conflict` when MLflow
    refuses *this* training.
    """
    try:
        if tracking_uri is None:
            raise NotConfigured("it has no address")
        with delivering(ledger, TURN_S) as held:
            _deliver(outbox, held, tracking_uri, emit)
            runs = _recorded(tracking_uri, training, held)
            _close_abandoned(tracking_uri, training.experiment, ledger)
    except (Transient, Fenced, NotConfigured) as error:
        outbox.add(training)
        why = "does not take it" if isinstance(error, NotConfigured) else "is away"
        reason = f"{why} ({str(error).rstrip('.')})"
        emit(RecordPostponed(run=training.key, reason=reason, waiting=len(outbox.entries())))
        return False
    emit(TrainingRecorded(run=training.key, experiment=training.experiment, record=runs.parent, units=len(runs.units)))
    return True


def delivering(ledger: Ledger, wait_s: float) -> AbstractContextManager[HeldLease]:
    """Be the one who writes to MLflow. Raises `LeaseTaken` when somebody else is for longer than `wait_s`."""
    return holding(ledger, LEASE, new_holder(), LEASE_S, wait_s)


def _deliver(outbox: Outbox, held: HeldLease, tracking_uri: str, emit: Sink) -> int:
    delivered = 0
    for entry in outbox.entries():
        held.keep()
        try:
            kept = outbox.read(entry)
            _recorded(tracking_uri, kept, held)
        except ExperimentDeleted as error:
            emit(RecordWaits(run=entry.key, entry=entry.path.name, reason=str(error)))
            continue
        except (Corrupt, Conflict) as error:
            outbox.quarantine(entry, str(error))
            folder, reason = str(outbox.folder / REFUSED), str(error)
            emit(RecordQuarantined(run=entry.key, entry=entry.path.name, folder=folder, reason=reason))
            continue
        outbox.remove(entry)
        delivered += 1
        emit(RecordDelivered(run=entry.key, units=len(kept.units)))
    return delivered


def _recorded(tracking_uri: str, one: TrainingRecord, held: HeldLease) -> TrainingRuns:
    return record_training(tracking_uri, one.experiment, one.key, one.params, one.units, held.keep, one.facts)


def _close_abandoned(tracking_uri: str, experiment: str, ledger: Ledger) -> None:
    """Of the trainings that this ledger knows: in the same experiment there may be those of other clones."""

    def is_abandoned(key: str) -> bool:
        return intents.is_known(ledger, key) and not is_held(ledger, f"training/{key}")

    with asking(tracking_uri) as client:
        mlflow_lookup.close_abandoned(client, mlflow_lookup.experiment_id(client, experiment), is_abandoned)


class MlflowProgress:
    """Tells MLflow of the steps of one training that were committed since it told last.

    What it has told it remembers for as long as nobody else writes to MLflow under the lease of deliveries, which its
    tokens show; after that, and after any error, it looks again.
    """

    def __init__(self, ledger: Ledger, tracking_uri: str, plan: TrainingPlan) -> None:
        """Nothing is asked or made yet."""
        self._ledger, self._uri, self._plan = ledger, tracking_uri, plan
        self._runs: dict[str, str] = {}
        self._told: set[tuple[str, int, bool]] = set()
        self._token = 0
        self._marks, self._offset = defaultdict[str, list[Mark]](list), 0

    def tell(self) -> None:
        """Make the runs that are not there, and log each committed step that they have not.

        Key: the training's key, unit, metric and step. Under a crash anywhere: the next `tell`, or the finished
        training's record, completes it. Raises `LeaseTaken` when somebody else writes just now, `Unavailable`, and
        `Conflict` when MLflow refuses.
        """
        if self._runs and not any(self._new().values()):
            return
        with delivering(self._ledger, wait_s=0) as held:
            if held.lease.token != self._token + 1:
                self._forget()
            self._token = held.lease.token
            try:
                self._write(held.keep)
            except BaseException:
                self._forget()
                raise

    def fail(self, reason: str) -> None:
        """The training cannot be completed: its runs say so. Does nothing where it has none."""
        with delivering(self._ledger, TURN_S), asking(self._uri) as client:
            where = mlflow_lookup.experiment_id(client, self._plan.experiment)
            for run in mlflow_lookup.search_runs(client, where, f"tags.`{KEY_TAG}` = '{self._plan.key}'"):
                if run.info.status != FINISHED:
                    mlflow_lookup.close_run(client, run, FAILED, reason)

    def _write(self, keep: Callable[[], None]) -> None:
        with asking(self._uri) as client:
            if not self._runs:
                self._begin(client, keep)
            for unit, new in self._new().items():
                keep()
                mlflow_lookup.log_metrics(client, self._runs[unit], mlflow_lookup.by_step(new))
                self._remember(unit, new)

    def _begin(self, client: MlflowClient, keep: Callable[[], None]) -> None:
        plan = self._plan
        where = mlflow_lookup.experiment_id(client, plan.experiment)
        parent = _open(client, the_training(client, where, plan.key, plan.facts))
        mlflow_lookup.log_params(client, parent, plan.params)
        committed = self._new()
        for unit, params in plan.units.items():
            keep()
            run = _open(client, the_unit(client, parent, plan.key, unit, plan.facts))
            mlflow_lookup.log_params(client, run, params)
            mlflow_lookup.log_missing_metrics(client, run, mlflow_lookup.by_step(committed[unit]))
            self._remember(unit, committed[unit])
            self._runs[unit] = run.info.run_id

    def _new(self) -> Mapping[str, Sequence[StepRecord]]:
        """By unit, the committed steps that were not told of, and the recoveries."""
        found: defaultdict[str, list[StepRecord]] = defaultdict(list)
        for unit, one in (*self._committed(), *self._recovered()):
            if unit in self._plan.units and _name(unit, one) not in self._told:
                found[unit].append(one)
        return found

    def _committed(self) -> Iterator[tuple[str, StepRecord]]:
        for done in steps.committed_of_run(self._ledger, self._plan.key):
            yield done.checkpoint.unit, StepRecord(done.checkpoint.step, done.metrics, done.committed_at)

    def _recovered(self) -> Iterator[tuple[str, StepRecord]]:
        """From the journal, of which only what is new is read."""
        facts = self._plan.facts
        if facts.journal is not None:
            entries, self._offset = Journal(facts.journal).read(self._offset)
            for unit, marks in marks_of(entries, self._plan.key).items():
                self._marks[unit] += marks
        for unit, marks in self._marks.items():
            yield from ((unit, mark) for mark in marks_by_step(marks))

    def _remember(self, unit: str, told: Sequence[StepRecord]) -> None:
        self._told |= {_name(unit, one) for one in told}

    def _forget(self) -> None:
        self._runs, self._told = {}, set()


def _name(unit: str, told: StepRecord) -> tuple[str, int, bool]:
    """A recovery has the number of a step, and is another thing."""
    return unit, told.step, RECOVERED in told.metrics


def _open(client: MlflowClient, run: Run) -> Run:
    if run.info.status not in (RUNNING, FINISHED):
        client.update_run(run.info.run_id, RUNNING)
    return run
