"""Whether a committed state is still what it was, and which checkpoint files may go."""

from collections.abc import Mapping
from pathlib import Path

from koboshi.files import naming_disk_failures, verify
from koboshi.ledger import Ledger, steps
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.spec import TrainingSpec

KEPT = 3  # newest checkpoints of a unit: a bad one, and the one before it, may still be followed by a good one


def verify_state(store: Path, checkpoint: CheckpointRef) -> None:
    """Raise `Corrupt` unless the state is there as it was committed."""
    verify(store / checkpoint.path, checkpoint.sha256, "checkpoint", "it is not used")


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
