"""`koboshi run --airflow`: the flow by the project's DAGs, each started by the one before, and followed to its end."""

import time
from collections.abc import Callable
from contextlib import closing

from koboshi.errors import NotConfigured, Permanent
from koboshi.orchestration.airflow_client import AirflowClient, Run, TaskState, connect
from koboshi.project.counting import count
from koboshi.settings import FILE, Settings, required

DAG_LIMIT_S, EVENT_LIMIT_S, PARSED_WITHIN_S = 900.0, 20.0, 120.0
SHOWN = ("running", "success", "skipped", "failed", "up_for_retry")
Say = Callable[[str], None]


def run_dags(settings: Settings, say: Say) -> str:
    """Run what `[pipeline] dags` names, in its order, and wait for each; what is new, as a sentence.

    Safe to run again: a DAG finds what was done. Raises `Permanent`, with the task's last lines, for a run that failed.
    """
    if not settings.pipeline.dags:
        raise NotConfigured(f'{FILE} names no DAGs of the project: set [pipeline] dags = ["…", "…"] in it.')
    before, stamp, run = count(settings), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), None
    where = settings.airflow
    with closing(connect(required(where.base_url, "Airflow"), where.username, where.passwords_path)) as client:
        for dag in settings.pipeline.dags:
            run = run_dag(client, dag, f"koboshi-run-{stamp}", run, say)
    return count(settings).since(before)


def run_dag(client: AirflowClient, dag: str, run_id: str, cause: Run | None, say: Say = lambda _line: None) -> Run:
    """Follow the run that the DAG before has started by its asset; where it started none, trigger one."""
    client.wait_for_dag(dag, within_s=PARSED_WITHIN_S)
    run = _started(client, dag, cause)
    say(
        f"DAG {dag}: run {run.run_id}, started by {cause.dag_id}"
        if run and cause
        else f"DAG {dag}: triggering {run_id}"
    )
    run = run or client.trigger(Run(dag, run_id))
    outcome = client.follow(run, within_s=DAG_LIMIT_S, on_change=lambda task: _say_task(task, say))
    if outcome.state != "success":
        failed = [task for task in outcome.tasks.values() if task.state == "failed"]
        for task in failed:
            say("\n".join(client.log(run, task.task_id, task.try_number)[-15:]))
        raise Permanent(f"run {run.run_id} of {dag} failed in {', '.join(task.task_id for task in failed)}.")
    return run


def _started(client: AirflowClient, dag: str, cause: Run | None) -> Run | None:
    """The run of `dag` that `cause` has started; Airflow makes it a moment after the event."""
    deadline = time.monotonic() + EVENT_LIMIT_S
    while cause and (started := client.started_by(cause)) is not None and time.monotonic() < deadline:
        if runs := [run for run in started if run.dag_id == dag]:
            return runs[0]
        time.sleep(0.5)
    return None


def _say_task(task: TaskState, say: Say) -> None:
    if task.state in SHOWN:
        took = f" in {task.duration_s:.0f} s" if task.duration_s and task.state != "running" else ""
        say(f"  {task.task_id:<20} {task.state}{took}")
