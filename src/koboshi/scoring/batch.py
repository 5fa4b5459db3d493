"""A dataset scored by a registered model on Ray, in one call."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stamina

from koboshi.datasets.build import open_verified
from koboshi.errors import BadInput, LeaseTaken
from koboshi.events import PartitionsScored, ScoresPublished, ScoresThere, ScoringBegan, Sink
from koboshi.formats.manifest import Dataset, DatasetRef
from koboshi.ingest.stray_files import open_ledger
from koboshi.scoring.partition_unit import FACTORY, Version, model_of, unit_params
from koboshi.scoring.polars_partition import (
    ROWS,
    Partition,
    check_columns,
    check_place,
    holds,
    plan_partitions,
    publish,
    scoring_key,
    tables,
)
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from koboshi.training.attach import Jobs, TrainingResult, ensure_trained
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.on_ray.ray_submit import submission

if TYPE_CHECKING:
    from koboshi.registry.mlflow_registry import MlflowRegistry

PUBLISHING_S = 120.0  # for another one who publishes the same just now


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What is scored (`dataset`, a folder), by which version, and where to; paths are absolute.

    `keep` are columns that go with the scores; a partition has at most `rows` rows, which the model gets in one call.
    """

    dataset: Path
    version: Version
    to: Path
    keep: tuple[str, ...] = ()
    rows: int = ROWS


def score(order: Order, place: RunConfig, jobs: Jobs, job: Path | None, emit: Sink) -> None:
    """Have a dataset scored, and publish the scores; does nothing where they are already.

    `job` is a script in the place of `koboshi.training.job`.

    Key: the dataset's manifest digest, the version and its artefact's digest, and how the scores are written. Commit of
    a partition: its row in the ledger, which names the file by its digest; the job's driver makes it under its lease
    (`koboshi.training.driver`). Commit of the whole: the rename of the folder (`publish`). Under a crash of a
    worker its partition is done again on a warm spare; of the job, the next attempt goes on with the partitions that
    are committed and verify; of this call, the job runs on, and the next call attaches to it. Of two drivers at once
    one has the lease, the other is fenced. What does not fit raises `BadInput` or `Corrupt` before a job is submitted.
    """
    dataset = open_verified(order.dataset)
    check_place(order.to, order.dataset)
    key = scoring_key(dataset.sha256, order.version.ref, order.keep, order.rows)
    if holds(order.to, key):
        emit(ScoresThere(run=key, to=str(order.to)))
        return
    plan, version = _plan(order, dataset), order.version.name
    rows = sum(part.rows for part in plan)
    spec = _spec(order, dataset, key, plan, place)
    emit(ScoringBegan(run=key, rows=rows, partitions=len(plan), version=version))
    ledger = open_ledger(place.ledger_url, Path(place.state_dir))
    result = ensure_trained(spec, jobs, ledger, submission(spec, job), emit)
    if not result.trained:
        emit(PartitionsScored(run=key))
    _publish(order, _described(order, dataset, key, plan), place.store_url, result)
    emit(ScoresPublished(run=key, to=str(order.to), rows=rows, dataset=str(order.dataset), version=version))


def _plan(order: Order, dataset: Dataset) -> list[Partition]:
    """The partitions, once it is sure that the model is the one that was registered, and that the columns fit it."""
    files = tables(dataset)
    check_columns(dataset, list(files), model_of(order.version).signature, order.keep)
    if not (plan := plan_partitions(files, order.rows)):
        raise BadInput(f"the dataset {order.dataset} has no rows: there is nothing to score.")
    return plan


def _spec(order: Order, dataset: Dataset, key: str, plan: list[Partition], place: RunConfig) -> TrainingSpec:
    """Each partition is a unit of one step: so it is given out, watched, fenced and committed as a step is."""
    units = {part.name: UnitSpec(FACTORY, unit_params(part, order.version, order.keep), 1) for part in plan}
    return TrainingSpec(key, DatasetRef(str(order.dataset), dataset.sha256), units, place)


def _described(order: Order, dataset: Dataset, key: str, plan: list[Partition]) -> dict[str, Any]:
    """Nothing in it depends on where, when or how often it was tried."""
    return {
        "key": key,
        "dataset": dataset.sha256,
        "model": order.version.ref.as_json(),
        "keep": list(order.keep),
        "partitions": [dataclasses.asdict(part) for part in plan],
    }


def _publish(order: Order, description: dict[str, Any], store: str, result: TrainingResult) -> None:
    """Whoever wanted the same at the same time may have published it meanwhile, or is just at it."""
    for attempt in stamina.retry_context(on=LeaseTaken, attempts=None, timeout=PUBLISHING_S, wait_max=1.0):
        with attempt:
            if not holds(order.to, description["key"]):
                publish(
                    order.to,
                    description,
                    # One after the other, each verified: a partition that was changed meanwhile is not published.
                    ((name, read_checkpoint(store, steps[-1].checkpoint)) for name, steps in result.units.items()),
                )


def find_version(registry: "MlflowRegistry", number: int | None, slot: str, cache: Path) -> Version:
    """Version `number`, or without one the version that the slot points at now.

    Raises `BadInput` when there is none, or when no digest was recorded for it: then nobody can tell its bytes.
    """
    wanted = registry.aliased(slot) if number is None else number
    if wanted is None:
        raise BadInput(f"slot {slot} of model {registry.name} points at no version: promote one, or give a version.")
    ref = registry.version(wanted)
    if ref is None:
        known = ", ".join(str(found.version) for found in sorted(registry.versions(), key=lambda ref: ref.version))
        raise BadInput(f"model {registry.name} has no version {wanted}: MLflow knows {known or 'none of it'}.")
    if not ref.sha256:
        raise BadInput(f"{ref.name} version {ref.version} has no recorded digest: register it with koboshi.")
    return Version(ref, registry.source(ref), registry.tracking_uri, cache)
