"""Runs in MLflow: found before they are made, filled once, closed with a reason.

MLflow has no unique keys, so a run is known by its tags, and those are given as it is made. A run that was made while
its answer got lost is found by the next look. What two who raced have made, or a request that came through late, is
told apart in the same way by everybody: a finished run counts before others, then the oldest, then the lowest id; the
others are ghosts, and whoever comes next deletes them. A run whose training does not go on says so, with the reason in
its description; it opens again when the training does.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from koboshi.errors import Conflict, NotConfigured
from koboshi.registry.mlflow_connection import FAILURES, asking_once
from koboshi.registry.progress import StepRecord

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


RUNNING, FAILED, KILLED = "RUNNING", "FAILED", "KILLED"
ABANDONED = "Nobody is at this training any more; the next `train` with the same inputs goes on with it."


def close_run(client: MlflowClient, run: Run, status: str, reason: str) -> None:
    """Let a run end in this status."""
    client.set_tag(run.info.run_id, MLFLOW_RUN_NOTE, reason)
    client.set_terminated(run.info.run_id, status, round(time.time() * 1000))


def close_abandoned(client: MlflowClient, experiment: str, is_abandoned: Callable[[str], bool]) -> None:
    """Close the runs that say they are running while, by their key, nobody is at their training."""
    for run in search_runs(client, experiment, f"attributes.status = '{RUNNING}'"):
        if (key := run.data.tags.get(KEY_TAG)) and is_abandoned(key):
            close_run(client, run, KILLED, ABANDONED)


_METRICS_A_REQUEST = 1000
_PARAMS_A_REQUEST = 100


def log_params(client: MlflowClient, run: Run, params: Mapping[str, Any]) -> None:
    """Log what is not there yet: MLflow refuses to change a parameter, and so do we."""
    missing = [Param(name, str(value)) for name, value in params.items() if name not in run.data.params]
    for some in _portions(missing, _PARAMS_A_REQUEST):
        client.log_batch(run.info.run_id, params=some)


def log_missing_metrics(client: MlflowClient, run: Run, metrics: Sequence[Metric]) -> list[Metric]:
    """Log the metrics that the run has not at their step; all of them, as the run has them now.

    Key: name and step. MLflow keeps a row for each name, step, time and value, so a step that was told twice with two
    times, by two tellers or because it was done again, would be there twice: what came first is left as it is. `run`
    is as it was found at the beginning, which tells whether there is anything to be looked for.
    """
    names = {metric.key for metric in metrics} & set(run.data.metrics)
    there = {(name, old.step): old for name in names for old in client.get_metric_history(run.info.run_id, name)}
    log_metrics(client, run.info.run_id, [metric for metric in metrics if (metric.key, metric.step) not in there])
    return [there.get((metric.key, metric.step), metric) for metric in metrics]


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log metrics that are known not to be there."""
    for some in _portions(metrics, _METRICS_A_REQUEST):
        client.log_batch(run_id, some)


def by_step(steps: Iterable[StepRecord]) -> list[Metric]:
    """Each metric with its step's own time."""
    return [
        Metric(name, value, round(step.at_s * 1000), step.step)
        for step in steps
        for name, value in step.metrics.items()
    ]


def _portions(things: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (things[start : start + size] for start in range(0, len(things), size))
