"""Finding before making: MLflow has no unique keys, so a run is known by its tags, and those are given as it is made.

A run that was made while its answer got lost is found by the next look. What two who raced have made, or a request
that came through late, is told apart in the same way by everybody: a finished run counts before others, then the
oldest, then the lowest id; the others are ghosts, and whoever comes next deletes them.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run

from koboshi.registry.mlflow_connection import FAILURES, asking_once

KEY_TAG = "koboshi.key"
UNIT_TAG = "koboshi.unit"
FINISHED = "FINISHED"

T = TypeVar("T")


def experiment_id(client: MlflowClient, name: str) -> str:
    """The experiment of this name, made when there is none."""

    def find() -> str | None:
        found = client.get_experiment_by_name(name)
        return str(found.experiment_id) if found else None

    return find() or made_once(lambda: str(client.create_experiment(name)), find)


def find_run(client: MlflowClient, experiment: str, key: str, unit: str | None) -> Run | None:
    """The run that counts for a key and a unit (without one, the parent) in the experiment of this name, or None."""
    found = client.get_experiment_by_name(experiment)
    return next(iter(runs_of(client, found.experiment_id, key, unit)), None) if found else None


def the_run(client: MlflowClient, experiment: str, tags: Mapping[str, str], started_s: float | None = None) -> Run:
    """The run that counts for these tags, made when there is none; its ghosts are deleted.

    Key: koboshi.key and koboshi.unit. Commit: the run's row, which MLflow writes together with its tags.
    """
    key, unit = tags[KEY_TAG], tags.get(UNIT_TAG)
    started_ms = round((time.time() if started_s is None else started_s) * 1000)

    def find() -> list[Run]:
        return runs_of(client, experiment, key, unit)

    runs = find()
    if not runs:
        made = made_once(lambda: client.create_run(experiment, started_ms, tags), lambda: next(iter(find()), None))
        runs = find() or [made]
    counts, *others = runs
    for ghost in others:
        if ghost.info.status != FINISHED:
            client.delete_run(ghost.info.run_id)
    return counts


def runs_of(client: MlflowClient, experiment: str, key: str, unit: str | None) -> list[Run]:
    """The runs of a key and a unit (without one, the parents), the one that counts first."""
    query = f"tags.`{KEY_TAG}` = '{key}'" + (f" AND tags.`{UNIT_TAG}` = '{unit}'" if unit else "")
    ours = [run for run in search_runs(client, experiment, query) if run.data.tags.get(UNIT_TAG) == unit]
    return sorted(ours, key=lambda run: (run.info.status != FINISHED, run.info.start_time, run.info.run_id))


def search_runs(client: MlflowClient, experiment: str, query: str) -> list[Run]:
    """All pages of a search."""
    page = client.search_runs([experiment], query)
    found = list(page)
    while page.token:
        page = client.search_runs([experiment], query, page_token=page.token)
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
