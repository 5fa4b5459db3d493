"""Which committed step still verifies, and which checkpoint files may go."""

from collections.abc import Callable, Mapping
from pathlib import Path

from koboshi.errors import Corrupt
from koboshi.files import naming_disk_failures, verify
from koboshi.journal import Journal
from koboshi.ledger import Ledger, steps
from koboshi.ledger.leases import Lease
from koboshi.ledger.steps import CommittedStep
from koboshi.training.spec import TrainingSpec

KEPT = 3  # newest checkpoints of a unit: a bad one, and the one before it, may still be followed by a good one


def newest_good(
    spec: TrainingSpec, unit: str, ledger: Ledger, lease: Lease, journal: Journal, say: Callable[[str], None]
) -> CommittedStep | None:
    """The newest committed step whose file has the recorded bytes (I5); each bad one on the way is set aside.

    To set a step aside is a commit under the lease; the file stays where it is, for people to look at, until its step
    is done again.
    """
    for step in reversed(steps.committed(ledger, spec.key, unit)):
        checkpoint = step.checkpoint
        try:
            verify(spec.place.checkpoints / checkpoint.path, checkpoint.sha256, "checkpoint", "it is not used")
        except Corrupt as error:
            steps.set_aside(ledger, lease, checkpoint, str(error))
            journal.record("checkpoint set aside", run=spec.key, unit=unit, step=checkpoint.step, reason=str(error))
            say(f"{unit}: step {checkpoint.step} is set aside, the step before it is used: {error}")
        else:
            return step
    return None


def final_steps(spec: TrainingSpec, ledger: Ledger) -> Mapping[str, list[CommittedStep]] | None:
    """All committed steps of each unit, if the last step of every unit is committed; files are not looked at."""
    found = {name: steps.committed(ledger, spec.key, name) for name in spec.units}
    complete = all(rows and rows[-1].checkpoint.step == spec.units[name].steps for name, rows in found.items())
    return found if complete else None


def drop_old(store: Path, committed: list[CommittedStep]) -> None:
    """Remove the files of all but the newest `KEPT` steps; their rows stay, for the history of the metrics."""
    with naming_disk_failures(store):
        for step in committed[:-KEPT]:
            (store / step.checkpoint.path).unlink(missing_ok=True)
