"""`make demo`: a record in Kafka to an answer at the endpoint, then three processes killed. Safe to run again.

Each step is a command that a person could type, or a DAG that a person could trigger; this module announces, follows
and counts. A second run does each step again and finds nothing to do. Ends with 0 only if every step worked and the
drills are proved; the stack stays up.
"""

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from koboshi.errors import Permanent
from koboshi.exits import error_of, run_and_exit
from koboshi.orchestration.airflow_client import AirflowClient, Run, TaskState, connect
from koboshi.settings import Settings, load_settings, required
from pipelines.demo_answers import check_answers
from pipelines.demo_counts import Counts, count

STEPS = 7
DAG_LIMIT_S = 900.0
EVENT_LIMIT_S = 20.0
CONSOLE = Console(highlight=False)
DRILLS = ("landing-killed", "ray-worker-killed", "replica-killed")
TRY = """Five things to try, while the stack is up:
  1. Trigger the DAG `train` in Airflow with a changed number, say train.seed, and see it compared with the champion.
  2. `koboshi kill ray-worker` while its task `train` runs: the log, Ray's dashboard and MLflow show the recovery.
  3. `koboshi kill kafka`, or any other part of `koboshi status`: it comes back by itself.
  4. Change a number in params.yaml and run `dvc repro`: only what depends on it is made again.
  5. `koboshi stream simulate --help` and `koboshi ingest audit`: land what you like, and have it compared.
`make stop` ends the stack, `make clean` leaves no trace."""


@dataclasses.dataclass(slots=True)
class Announcer:
    """Announces each step, and how long it took."""

    begun: float = dataclasses.field(default_factory=time.monotonic)
    done: int = 0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step; an error passes through."""
        CONSOLE.rule(f"[bold]{self.done + 1}/{STEPS} {what}", align="left")
        began = time.monotonic()
        yield
        self.done += 1
        show(f"done in {time.monotonic() - began:.0f} s, {time.monotonic() - self.begun:.0f} s in all")


def show(line: str) -> None:
    """Print a line of progress."""
    CONSOLE.print(line, markup=False, soft_wrap=True)


def main() -> None:
    """Do all steps, then say what was proved and where to look."""
    announcer = Announcer()
    with announcer.step("Start the stack: Kafka, Airflow, Ray, MLflow, three replicas and their gateway"):
        koboshi("up")
    settings = load_settings()
    with announcer.step("Stream 58 days of card transactions and the fraud reports into Kafka"):
        koboshi("stream", "simulate")
    before, stamp = count(settings), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    client = connect(
        required(settings.airflow.base_url, "Airflow"), settings.airflow.username, settings.airflow.passwords_path
    )
    run = None
    for dag, what in DAGS.items():
        with announcer.step(what):
            run = run_dag(client, dag, f"demo-{stamp}", run)
    after = count(settings)
    with announcer.step("Ask the endpoint, and compare with the registered model"):
        show(check_answers(settings))
    with announcer.step("Drills: kill a lander, a Ray worker and a replica for real, and have the recovery proved"):
        koboshi("drill", "run", *DRILLS)
        koboshi("drill", "report")
    summarise(settings, before, after, announcer)


DAGS = {
    "ingest": "DAG ingest: land the stream, audit it against the broker, pin it",
    "train": "DAG train: datasets under DVC, candidates on Ray, judged on the test week",
    "promote": "DAG promote: register the best candidate, compare it, let it be served",
}


def run_dag(client: AirflowClient, dag: str, run_id: str, cause: Run | None) -> Run:
    """Follow the run that the DAG before has started by its asset; where it started none, trigger one."""
    client.wait_for_dag(dag, within_s=120)
    run = _started(client, dag, cause)
    show(f"run {run.run_id} was started by {cause.dag_id}" if run and cause else f"triggering run {run_id}")
    run = run or client.trigger(Run(dag, run_id))
    outcome = client.follow(run, within_s=DAG_LIMIT_S, on_change=_show_task)
    if outcome.state != "success":
        failed = [task for task in outcome.tasks.values() if task.state == "failed"]
        for task in failed:
            show("\n".join(client.log(run, task.task_id, task.try_number)[-15:]))
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


def _show_task(task: TaskState) -> None:
    if task.state in ("running", "success", "skipped", "failed", "up_for_retry"):
        took = f" in {task.duration_s:.0f} s" if task.duration_s and task.state != "running" else ""
        show(f"  {task.task_id:<20} {task.state}{took}")


def koboshi(*words: str) -> None:
    """Run a verb, its output where ours goes."""
    command = (str(Path(sys.executable).parent / "koboshi"), *words)
    sys.stdout.flush()
    if code := subprocess.run(command, check=False).returncode:
        raise error_of(code)(f"`koboshi {' '.join(words)}` ended with {code}; its last lines say why.")


def summarise(settings: Settings, before: Counts, after: Counts, announcer: Announcer) -> None:
    """What was proved, what is new, the numbers beside the published ones, addresses, and what to try."""
    CONSOLE.rule("[bold]What it came to", align="left")
    show(after.since(before))
    from pipelines.demo_answers import metrics_table

    show(metrics_table(settings.project))
    CONSOLE.rule("[bold]Where to look", align="left")
    from koboshi.stack.rich_table import login_lines
    from koboshi.stack.status import logins

    show(login_lines(logins(settings)))
    show(f"\n{TRY}\n\nThe demo took {time.monotonic() - announcer.begun:.0f} s.")


if __name__ == "__main__":
    run_and_exit(main, "demo")
