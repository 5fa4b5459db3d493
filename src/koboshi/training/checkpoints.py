"""Whether a committed state is still what it was, and whether a run has all that it was to make."""

from collections.abc import Mapping

from koboshi.errors import Corrupt
from koboshi.ledger import Ledger, steps
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.spec import TrainingSpec
from koboshi.training.worker import read_checkpoint


def verify_state(store: str, checkpoint: CheckpointRef) -> None:
    """Raise `Corrupt` unless the state is there as it was committed."""
    if not checkpoint.path:
        raise Corrupt(f"the state after step {checkpoint.step} was not kept, and none after it can be used.")
    read_checkpoint(store, checkpoint)


def final_steps(spec: TrainingSpec, ledger: Ledger) -> Mapping[str, list[CommittedStep]] | None:
    """All committed steps of each unit, if the last step of every unit is committed; files are not looked at."""
    found = {name: steps.committed(ledger, spec.key, name) for name in spec.units}
    complete = all(rows and rows[-1].checkpoint.step == spec.units[name].steps for name, rows in found.items())
    return found if complete else None
