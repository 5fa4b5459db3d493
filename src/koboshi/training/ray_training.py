"""Training on Ray in one call, for pipelines that need no more than the final states of their units."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from koboshi.ledger import Ledger
from koboshi.refs import DatasetRef
from koboshi.training.attach import attain
from koboshi.training.ray_submit import RayJobs, submission
from koboshi.training.spec import TrainingSpec, UnitSpec, Workplace, training_key
from koboshi.training.worker import read_checkpoint


def train_on_ray(
    table: DatasetRef,
    units: Mapping[str, UnitSpec],
    place: Workplace,
    jobs: RayJobs,
    job: Path,
    code: bytes,
    say: Callable[[str], None],
) -> dict[str, bytes]:
    """Have units trained by the job script `job`, and return the state of each after its last step, verified.

    Key: the table's manifest, the units with their parameters, and `code`, the source that decides what they do: where
    these are the same, nothing is trained again. Under a crash of this call the job runs on, and the next call
    attaches to it; raises `Permanent` when a unit cannot be trained, `Transient` when trying again may help.
    """
    key = training_key(table, units, code=hashlib.sha256(code).hexdigest(), threads=1)
    spec = TrainingSpec(key, table, units, place)
    attained = attain(spec, jobs, Ledger(place.ledger_url), submission(spec, job), say)
    return {name: read_checkpoint(place.store_url, steps[-1].checkpoint) for name, steps in attained.units.items()}
