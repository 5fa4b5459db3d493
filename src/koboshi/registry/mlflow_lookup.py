"""Finding before making: MLflow has no unique keys, so a run is known by its tags, and those are given as it is made.

A run that was made while its answer got lost is found by the next look. What two who raced have made, or a request
that came through late, is told apart in the same way by everybody: a finished run counts before others, then the
oldest, then the lowest id; the others are ghosts, and whoever comes next deletes them.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from koboshi.errors import Conflict, NotConfigured
from koboshi.registry.mlflow_connection import FAILURES, asking_once

KEY_TAG = "koboshi.key"
UNIT_TAG = "koboshi.unit"
FINISHED = "FINISHED"

T = TypeVar("T")


class ExperimentDeleted(NotConfigured):
    """The experiment that a training belongs to was deleted: a matter of the experiment, not of the training."""


def experiment_id(client: MlflowClient, name: str) -> str:
    """The experiment of this name, made when there is none. Raises `ExperimentDeleted`."""
    return _experiment(client, name) or made_once(
        lambda: str(client.create_experiment(name)), lambda: _experiment(client, name)
    )


def find_run(
    client: MlflowClient, experiment: str, key: str, unit: str | None, view: int = ViewType.ACTIVE_ONLY
) -> Run | None:
    """The run that counts for a key and a unit (without one, the parent) in the experiment of this name, or None.

    Raises `ExperimentDeleted`.
    """
    where = _experiment(client, experiment)
    return next(iter(runs_of(client, where, key, unit, view)), None) if where else None


def no_run(client: MlflowClient, experiment: str, key: str, unit: str) -> Conflict:
    """What to say where a unit has no run that is complete: whether it was deleted, and how it comes back."""
    again = "run the train stage again (`dvc repro --force train`), which records what is missing"
    gone = find_run(client, experiment, key, unit, ViewType.DELETED_ONLY)
    if gone is None:
        return Conflict(f"MLflow has no finished run of unit {unit} of training {key[:12]}: {again}.")
    run_id = gone.info.run_id
    return Conflict(
        f"run {run_id} of unit {unit} of training {key[:12]} was deleted in MLflow: "
        f"`mlflow runs restore --run-id {run_id}` brings it back; or {again}."
    )


def the_run(client: MlflowClient, experiment: str, tags: Mapping[str, str], started_s: float | None = None) -> Run:
    """The run that counts for these tags, made when there is none; its ghosts are deleted.

    A complete one that a person has deleted is restored, and one whose parent was deleted gets the parent that the tags
    name. Key: koboshi.key and koboshi.unit. Commit: the run's row, which MLflow writes together with its tags.
    """
    key, unit = tags[KEY_TAG], tags.get(UNIT_TAG)
    started_ms = round((time.time() if started_s is None else started_s) * 1000)

    def find() -> list[Run]:
        return runs_of(client, experiment, key, unit)

    runs = find() or _restored(client, experiment, key, unit)
    if not runs:
        made = made_once(lambda: client.create_run(experiment, started_ms, tags), lambda: next(iter(find()), None))
        runs = find() or [made]
    counts, *others = runs
    for ghost in others:
        if ghost.info.status != FINISHED:
            client.delete_run(ghost.info.run_id)
    if (parent := tags.get(MLFLOW_PARENT_RUN_ID)) != counts.data.tags.get(MLFLOW_PARENT_RUN_ID) and parent:
        client.set_tag(counts.info.run_id, MLFLOW_PARENT_RUN_ID, parent)
    return counts


def runs_of(
    client: MlflowClient, experiment: str, key: str, unit: str | None, view: int = ViewType.ACTIVE_ONLY
) -> list[Run]:
    """The runs of a key and a unit (without one, the parents), the one that counts first."""
    query = f"tags.`{KEY_TAG}` = '{key}'" + (f" AND tags.`{UNIT_TAG}` = '{unit}'" if unit else "")
    ours = [run for run in search_runs(client, experiment, query, view) if run.data.tags.get(UNIT_TAG) == unit]
    return sorted(ours, key=lambda run: (run.info.status != FINISHED, run.info.start_time, run.info.run_id))


def search_runs(client: MlflowClient, experiment: str, query: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """All pages of a search."""
    page = client.search_runs([experiment], query, view)
    found = list(page)
    while page.token:
        page = client.search_runs([experiment], query, view, page_token=page.token)
        found += page
    return found


def made_once(make: Callable[[], T], find: Callable[[], T | None]) -> T:
    """Ask once for a thing to be made; if that seems to fail, it may be there all the same: look before asking again.

    So may somebody else have made it. What it raises otherwise is MLflow's own error.
    """
    try:
        with asking_once():
            return make()
    except FAILURES:
        if (found := find()) is not None:
            return found
        raise


def _experiment(client: MlflowClient, name: str) -> str | None:
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == LifecycleStage.DELETED:
        restore = f"mlflow experiments restore --experiment-id {found.experiment_id}"
        raise ExperimentDeleted(
            f"experiment {name} was deleted in MLflow: `{restore}` (with MLFLOW_TRACKING_URI set) brings it back with "
            "its runs; or set serving.model to another name."
        )
    return str(found.experiment_id) if found else None


def _restored(client: MlflowClient, experiment: str, key: str, unit: str | None) -> list[Run]:
    """The complete run of these that was deleted by a person, brought back: a ghost that we delete is not complete."""
    deleted = runs_of(client, experiment, key, unit, ViewType.DELETED_ONLY)
    for run in [run for run in deleted if run.info.status == FINISHED][:1]:
        client.restore_run(run.info.run_id)
        return [client.get_run(run.info.run_id)]
    return []
