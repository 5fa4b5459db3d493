"""Trainings go to MLflow through the outbox: at once where MLflow takes them, later where it is away."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from koboshi.errors import Conflict, Corrupt, Fenced, NotConfigured, Transient
from koboshi.ledger import Ledger, attempts
from koboshi.ledger.held_lease import HeldLease, holding
from koboshi.ledger.holders import this_process
from koboshi.ledger.leases import is_held
from koboshi.registry.mlflow_closing import close_abandoned
from koboshi.registry.mlflow_connection import answering, connect
from koboshi.registry.mlflow_lookup import ExperimentDeleted, experiment_id
from koboshi.registry.mlflow_runs import record_training
from koboshi.registry.outbox import Outbox
from koboshi.registry.records import TrainingRecord

LEASE, LEASE_S = "outbox", 120.0  # longer than one request to a server that is silent may take
TURN_S = 60.0  # how long to wait for another deliverer
LATER = "delivered by the next train, evaluate or promote, or by `koboshi outbox deliver`"

Say = Callable[[str], None]


def deliver(outbox: Outbox, ledger: Ledger, tracking_uri: str, say: Say) -> int:
    """Record in MLflow what waits in the outbox, in its order; returns how many entries were delivered.

    Key: the entry's training, looked up in MLflow before it is made. Commit: MLflow's, see `record_training`; only then
    is the entry removed. Under a crash anywhere between, the next delivery goes on with the same entry and completes
    what is there. One deliverer at a time, under a lease. An entry that is corrupt, or that MLflow refuses, is set
    aside, one whose experiment was deleted waits on, and neither keeps the others waiting. Raises `Unavailable` when
    MLflow is away, `NotConfigured` when it lets nobody in: the rest waits on.
    """
    if not outbox.entries():
        return 0
    with delivering(ledger, TURN_S) as held:
        return _deliver(outbox, held, tracking_uri, say)


def hand_over(outbox: Outbox, ledger: Ledger, tracking_uri: str | None, training: TrainingRecord, say: Say) -> bool:
    """Record a training in MLflow, after what waits already; where MLflow is away, put it into the outbox.

    Returns whether it is in MLflow. Its models are copied only in the second case. Key: the training's key. Commit:
    `record_training` or `Outbox.add`, whichever comes to its end. Raises `DiskFailed`, and `Conflict` when MLflow
    refuses *this* training.
    """
    try:
        if tracking_uri is None:
            raise NotConfigured("it has no address")
        with delivering(ledger, TURN_S) as held:
            _deliver(outbox, held, tracking_uri, say)
            given = (training.experiment, training.key, training.params, training.units)
            runs = record_training(tracking_uri, *given, between=held.keep)
            _close_abandoned(tracking_uri, training.experiment, ledger)
    except (Transient, Fenced, NotConfigured) as error:
        outbox.add(training)
        waiting = len(outbox.entries())
        why = "does not take it" if isinstance(error, NotConfigured) else "is away"
        say(f"MLflow {why} ({str(error).rstrip('.')}); {_counted(waiting)} in the outbox, {LATER}.")
        return False
    say(f"Recorded in MLflow, experiment {training.experiment}: run {runs.parent} with {len(runs.units)} units.")
    return True


@contextmanager
def delivering(ledger: Ledger, wait_s: float) -> Iterator[HeldLease]:
    """Be the one who writes to MLflow. Raises `LeaseTaken` when somebody else is for longer than `wait_s`."""
    with holding(ledger, LEASE, f"{uuid.uuid4().hex[:8]}.{this_process()}", LEASE_S, wait_s) as held:
        yield held


def _deliver(outbox: Outbox, held: HeldLease, tracking_uri: str, say: Say) -> int:
    delivered = 0
    for entry in outbox.entries():
        held.keep()
        try:
            kept = outbox.read(entry)
            record_training(tracking_uri, kept.experiment, kept.key, kept.params, kept.units, between=held.keep)
        except ExperimentDeleted as error:
            say(f"Entry {entry.path.name} of the outbox waits on: {error}")
            continue
        except (Corrupt, Conflict) as error:
            outbox.set_aside(entry, str(error))
            say(f"Entry {entry.path.name} of the outbox is set aside, in {outbox.folder / 'refused'}: {error}")
            continue
        outbox.remove(entry)
        delivered += 1
        say(f"Delivered from the outbox: training {entry.key} with {len(kept.units)} units is in MLflow.")
    return delivered


def _close_abandoned(tracking_uri: str, experiment: str, ledger: Ledger) -> None:
    """Of the trainings that this ledger knows: in the same experiment there may be those of other clones."""

    def is_abandoned(key: str) -> bool:
        return attempts.is_known(ledger, key) and not is_held(ledger, f"training/{key}")

    client = connect(tracking_uri)
    with answering(tracking_uri):
        close_abandoned(client, experiment_id(client, experiment), is_abandoned)


def _counted(entries: int) -> str:
    return f"{entries} {'entry waits' if entries == 1 else 'entries wait'}"
