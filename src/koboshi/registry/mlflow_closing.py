"""Runs whose training does not go on say so, with the reason in their description; it opens them again when it does."""

import time
from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from koboshi.registry.mlflow_lookup import KEY_TAG, search_runs

RUNNING, FAILED, KILLED = "RUNNING", "FAILED", "KILLED"
ABANDONED = "Nobody is at this training any more; the next `train` with the same inputs goes on with it."


def close(client: MlflowClient, run: Run, status: str, reason: str) -> None:
    """Let a run end in this status."""
    client.set_tag(run.info.run_id, MLFLOW_RUN_NOTE, reason)
    client.set_terminated(run.info.run_id, status, round(time.time() * 1000))


def close_abandoned(client: MlflowClient, experiment: str, is_abandoned: Callable[[str], bool]) -> None:
    """Close the runs that say they are running while, by their key, nobody is at their training."""
    for run in search_runs(client, experiment, f"attributes.status = '{RUNNING}'"):
        if (key := run.data.tags.get(KEY_TAG)) and is_abandoned(key):
            close(client, run, KILLED, ABANDONED)
