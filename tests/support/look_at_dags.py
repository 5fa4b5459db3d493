"""A program: print as JSON what Airflow makes of the DAG files in a folder. `python look_at_dags.py FOLDER`."""

import json
import sys
import time
from typing import Any, ClassVar

from airflow.dag_processing.dagbag import DagBag


class MeasuredBag(DagBag):
    """Tells how much of the processor each file took; how long that takes depends on what else the machine does."""

    seconds: ClassVar[dict[str, float]] = {}

    def process_file(self, filepath: str, *words: Any, **options: Any) -> Any:
        """As Airflow does."""
        began = time.process_time()
        found = super().process_file(filepath, *words, **options)
        self.seconds[filepath] = time.process_time() - began
        return found


def described_task(task: Any) -> dict[str, Any]:
    """How a task is run, retried and linked."""
    rule = task.retry_policy.rules[0]
    return {
        "upstream": sorted(task.upstream_task_ids),
        "pool": task.pool,
        "retries": task.retries,
        "owner": task.owner,
        "backoff": task.retry_exponential_backoff,
        "rule": [rule.exception_path, rule.action.value],
        "inlets": [asset.name for asset in task.inlets],
        "outlets": [asset.name for asset in task.outlets],
    }


def described_dag(dag: Any) -> dict[str, Any]:
    """What a user sees of a DAG."""
    return {
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "active": dag.max_active_runs,
        "assets": [asset.name for asset in dag.schedule or ()],
        "params": {name: dag.params.get_param(name).serialize() for name in dag.params},
        "tasks": {task.task_id: described_task(task) for task in dag.tasks},
    }


if __name__ == "__main__":
    bag = MeasuredBag(sys.argv[1])
    found = {
        "errors": bag.import_errors,
        "seconds": bag.seconds,
        "dags": {dag.dag_id: described_dag(dag) for dag in bag.dags.values()},
    }
    sys.stdout.write(f"\n{json.dumps(found)}\n")
