"""Step commits: which checkpoint of a unit counts."""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from koboshi.errors import Conflict
from koboshi.ledger.database import Ledger
from koboshi.ledger.leases import Lease, check
from koboshi.ledger.tables import steps
from koboshi.refs import CheckpointRef

# Made once: putting the statements together was four tenths of a commit's processor time.
_INSERT = steps.insert()


@dataclasses.dataclass(frozen=True, slots=True)
class CommittedStep:
    """A checkpoint that counts, with the metrics of its step and when it was committed."""

    checkpoint: CheckpointRef
    metrics: Mapping[str, float]
    committed_at: float


def commit(ledger: Ledger, lease: Lease, done: Iterable[tuple[CheckpointRef, Mapping[str, float]]]) -> None:
    """The only commit of table → checkpoint: rows for steps whose files are on disk, under the run's lease.

    Key: run key, unit, step. Under a crash: all of them or none; what is lost is done again from the step before.
    A step whose state was not kept has a row for its metrics, and is committed only together with a later one of its
    unit that has a file. Raises `Conflict` when a step is committed already (I5), or has no such file; `Fenced` when
    another driver took the run over (I3).
    """
    done = list(done)
    _check_files(checkpoint for checkpoint, _ in done)
    with ledger.transaction() as connection:
        check(connection, lease)
        for checkpoint, metrics in done:
            row = {**checkpoint.as_json(), "metrics": dict(metrics), "token": lease.token}
            try:
                connection.execute(_INSERT, {**row, "committed_at": time.time()})
            except IntegrityError as error:
                raise Conflict(f"step {checkpoint.step} of {checkpoint.unit} is committed already.") from error


def _check_files(checkpoints: Iterable[CheckpointRef]) -> None:
    newest = {checkpoint.unit: checkpoint for checkpoint in sorted(checkpoints, key=lambda one: one.step)}
    for checkpoint in newest.values():
        if not checkpoint.path:
            raise Conflict(f"step {checkpoint.step} of {checkpoint.unit} has no file: it cannot be committed.")


def quarantine(ledger: Ledger, lease: Lease, checkpoint: CheckpointRef, reason: str) -> None:
    """Stop counting a checkpoint whose file does not verify, so that its step can be done again."""
    with ledger.transaction() as connection:
        check(connection, lease)
        connection.execute(
            steps.update()
            .where(
                steps.c.run_key == checkpoint.run_key,
                steps.c.unit == checkpoint.unit,
                steps.c.step == checkpoint.step,
                steps.c.quarantined.is_(None),
            )
            .values(quarantined=reason)
        )


def committed(ledger: Ledger, run_key: str, unit: str) -> list[CommittedStep]:
    """The committed steps of a unit, oldest first."""
    query = sa.select(steps).where(steps.c.run_key == run_key, steps.c.unit == unit, steps.c.quarantined.is_(None))
    return _found(ledger, query.order_by(steps.c.step))


def committed_of_run(ledger: Ledger, run_key: str) -> list[CommittedStep]:
    """The committed steps of all units of a run, oldest first."""
    query = sa.select(steps).where(steps.c.run_key == run_key, steps.c.quarantined.is_(None))
    return _found(ledger, query.order_by(steps.c.step, steps.c.unit))


def last_committed_at(ledger: Ledger) -> dict[str, float]:
    """When each run has committed its newest step that counts, in seconds since 1970; computed by the database."""
    newest = sa.select(steps.c.run_key, sa.func.max(steps.c.committed_at)).where(steps.c.quarantined.is_(None))
    return dict(map(tuple, ledger.rows(newest.group_by(steps.c.run_key))))


def newest_of_run(ledger: Ledger, run_key: str) -> dict[str, CommittedStep]:
    """The newest committed step of each unit of a run."""
    here = (steps.c.run_key == run_key, steps.c.quarantined.is_(None))
    newest = sa.select(steps.c.unit, sa.func.max(steps.c.step).label("step")).where(*here).group_by(steps.c.unit)
    last = newest.subquery()
    query = sa.select(steps).join(last, sa.and_(steps.c.unit == last.c.unit, steps.c.step == last.c.step))
    return {step.checkpoint.unit: step for step in _found(ledger, query.where(*here).order_by(steps.c.unit))}


def _found(ledger: Ledger, query: sa.Select[Any]) -> list[CommittedStep]:
    return [
        CommittedStep(CheckpointRef(r.run_key, r.unit, r.step, r.path, r.sha256), r.metrics, r.committed_at)
        for r in ledger.rows(query)
    ]


def paths(ledger: Ledger, run_key: str) -> set[str]:
    """All files of a run that a row names, also those that were quarantined."""
    query = sa.select(steps.c.path).where(steps.c.run_key == run_key, steps.c.path != "")
    return {row.path for row in ledger.rows(query)}
