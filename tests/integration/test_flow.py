"""The whole flow on real parts: a record in Kafka to an answer at the endpoint, through Airflow, and then again.

A tenth of the simulated cards and short trainings; everything else is as in the demo, whose own code follows the runs.
"""

import dataclasses
import datetime
import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from koboshi.ledger import Ledger, leases, spans
from koboshi.orchestration.airflow_client import AirflowClient, Run, RunOutcome, TaskState, connect
from koboshi.project.asking import compared_answers
from koboshi.project.counting import Counts, count
from koboshi.project.dag_runs import run_dag
from koboshi.project.project import load_project
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.settings import SLOT
from pipelines.simulator import Simulation, simulate
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.airflow]

TRAIN = {
    "logistic": {"steps": 2, "epochs_a_step": 2, "alpha": 1.0e-5},
    "forest": {"steps": 2, "trees_a_step": 2},
}
# What the committed pipeline pins of the demo's stream; here another one is pinned.
PINNED = ("code.json", "cut.json", "dvc.lock", "metrics.json", "params.yaml")
WITHIN_S = 240.0
SKIPPED = {"promote": "skipped", "served": "skipped"}


@dataclasses.dataclass(frozen=True)
class Flow:
    """A stack through which the stream has gone once: the runs, what they said, and what there was then."""

    stack: RunningStack
    airflow: AirflowClient
    runs: dict[str, Run]
    counts: Counts
    new: Counts
    files: list[bytes]

    def run(self, dag_id: str, **conf: Any) -> RunOutcome:
        """Trigger a run and follow it; dots in names are given as two underscores."""
        return self.follow(self.trigger(dag_id, **conf))

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        run = Run(dag_id, f"test-{uuid.uuid4().hex[:8]}")
        return self.airflow.trigger(run, {name.replace("__", "."): value for name, value in conf.items()})

    def follow(self, run: Run, **options: Any) -> RunOutcome:
        return self.airflow.follow(run, within_s=WITHIN_S, **options)

    def after(self, train: RunOutcome) -> RunOutcome:
        """What became of the run of `promote` that a training has started."""
        return self.follow(run_dag(self.airflow, "promote", "never-used", train.run))

    def last_words(self, outcome: RunOutcome, task_id: str) -> str:
        """The log of a task's newest try."""
        return "\n".join(self.airflow.log(outcome.run, task_id, outcome.tasks[task_id].try_number))


@pytest.fixture(scope="module")
def flow(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """Stream, ingest, train and promote, each DAG started by the one before; the project is put back afterwards."""
    project = stack.project
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["train"]["candidates"] = TRAIN
    for name in PINNED:
        (project / name).unlink(missing_ok=True)
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    stack.run("stream", "replay", str(small_stream(tmp_path_factory.mktemp("stream"))))
    where = stack.settings.airflow
    airflow = connect(str(where.base_url), where.username, where.passwords_path)
    runs: dict[str, Run] = {}
    cause, before = None, count(stack.settings)
    for dag_id in stack.settings.pipeline.dags:
        cause = runs[dag_id] = run_dag(airflow, dag_id, "test-flow", cause)
    counts = count(stack.settings)
    yield Flow(stack, airflow, runs, counts, counts.minus(before), pinned_files(project))
    airflow.close()
    shutil.rmtree(project / "data")
    subprocess.run(["git", "checkout", "--quiet", "--", "."], cwd=project, check=True)


def pinned_files(project: Path) -> list[bytes]:
    return [(project / name).read_bytes() for name in PINNED]


@dataclasses.dataclass(frozen=True)
class Second:
    """What each DAG came to, triggered a second time, and what there was then."""

    ingest: RunOutcome
    train: RunOutcome
    promote: RunOutcome
    tries: list[TaskState]
    counts: Counts
    files: list[bytes]


@pytest.fixture(scope="module")
def second(flow: Flow) -> Second:
    """The second time, and `train` while somebody else is at work in the project, until it has been tried in vain."""
    tries: list[TaskState] = []
    ingest = flow.run("ingest")
    ledger = Ledger(flow.stack.settings.ledger_url)
    lease = leases.acquire(ledger, f"workspace {flow.stack.project}", "somebody else", WITHIN_S)

    def changed(task: TaskState) -> None:
        tries.append(task)
        if task.state == "up_for_retry":
            leases.release(ledger, lease)

    train = flow.follow(flow.trigger("train"), on_change=changed)
    ledger.close()
    promote = flow.after(train)
    return Second(ingest, train, promote, tries, count(flow.stack.settings), pinned_files(flow.stack.project))


def small_stream(folder: Path) -> Path:
    """One card in ten over the weeks of the split, as a file of the user's own."""
    first, last = datetime.date(2018, 7, 20), datetime.date(2018, 8, 14)
    rows = simulate(Simulation(days=(last - datetime.date(2018, 4, 1)).days + 1))
    rows = rows.filter(pl.col("customer_id") % 10 == 0, pl.col("tx_datetime").dt.date().is_between(first, last))
    amount = (pl.col("amount_cents") / 100).round(2).alias("amount")
    file = folder / "stream.parquet"
    rows.select("transaction_id", "tx_datetime", "customer_id", "terminal_id", amount, "is_fraud").write_parquet(file)
    return file


def states(outcome: RunOutcome) -> dict[str, str | None]:
    """The tasks' states by name."""
    return {name: task.state for name, task in outcome.tasks.items()}


def test_each_dag_starts_the_next_and_the_endpoint_answers_right(flow: Flow) -> None:
    """A record in Kafka becomes an answer: landed, pinned, trained, registered and served once (I1, I4, I6, I7)."""
    assert flow.runs["ingest"].run_id == "test-flow"
    assert {flow.runs[name].run_id[:15] for name in ("train", "promote")} == {"asset_triggered"}
    landed, pinned = pinned_and_landed(flow)
    assert landed == pinned
    assert (flow.new.attempts, flow.new.versions) == (1, 1)
    assert flow.new.steps == sum(candidate["steps"] for candidate in TRAIN.values())
    project = load_project(flow.stack.project, "pipelines.card_fraud")
    assert project.training is not None
    assert "100 rows answered by " in compared_answers(flow.stack.settings, project, project.training)


def pinned_and_landed(flow: Flow) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """The ends of the committed spans, and those in cut.json."""
    topics = json.loads((flow.stack.project / "cut.json").read_text())["topics"]
    pinned = {(topic, int(number)): part["end"] for topic, parts in topics.items() for number, part in parts.items()}
    ledger = Ledger(flow.stack.settings.ledger_url)
    landed: dict[tuple[str, int], int] = {}
    for topic in topics:
        for span in spans.committed(ledger, topic):
            landed[topic, span.range.partition] = span.range.end
    ledger.close()
    return landed, pinned


def test_a_second_run_changes_nothing(flow: Flow, second: Second) -> None:
    """Triggered twice: nothing is landed, trained or registered again, the pin is skipped, the champion stays."""
    assert states(second.ingest)["pin"] == "skipped"
    assert flow.airflow.started_by(second.ingest.run) is None
    assert second.train.state == "success"
    assert "snapshot: nothing changed" in flow.last_words(second.train, "snapshot")
    assert (second.promote.state, states(second.promote)["served"]) == ("success", "success")
    assert second.counts == flow.counts
    assert second.files == flow.files


def test_what_may_pass_is_tried_again(second: Second) -> None:
    """Somebody else worked in the project: exit code 75, another try, success."""
    assert second.train.tasks["code"].try_number > 1
    assert "up_for_retry" in {task.state for task in second.tries}


def test_changed_parameters_are_an_experiment_that_is_compared_and_not_promoted(flow: Flow) -> None:
    """What the change does not touch comes from the cache; the committed files stay; so does the champion."""
    registry = MlflowRegistry(str(flow.stack.settings.mlflow.tracking_uri), flow.stack.settings.serving.model)
    champion, versions = registry.aliased(SLOT), len(registry.versions())
    outcome = flow.run("train", train__candidates__logistic__alpha=1.0e-4)
    assert outcome.state == "success"
    assert "checking out outputs" in flow.last_words(outcome, "features")
    assert pinned_files(flow.stack.project) == flow.files
    promote = flow.after(outcome)
    assert promote.state == "success"
    [experiment] = (flow.stack.settings.state_dir / "workspaces").iterdir()
    assert f'"workspace": "{experiment.name}"' in flow.last_words(promote, "register").replace("'", '"')
    assert count(flow.stack.settings).attempts == flow.counts.attempts + 1
    assert {name: state for name, state in states(promote).items() if name in ("promote", "served")} == SKIPPED
    assert f"experiment {experiment.name} is registered and compared" in flow.last_words(promote, "promote")
    assert "Verdict: " in flow.last_words(promote, "compare")
    assert (registry.aliased(SLOT), len(registry.versions())) == (champion, versions + 1)


def test_a_parameter_that_is_not_there_fails_at_once(flow: Flow) -> None:
    """Exit code 65, one try, and the sentence names it."""
    outcome = flow.run("train", train__nix=1)
    assert (states(outcome)["code"], outcome.tasks["code"].try_number) == ("failed", 1)


def test_a_flipped_byte_in_a_landed_span_fails_the_tasks_without_retries(flow: Flow) -> None:
    """Found before use, named, exit code 65 through DVC and Airflow (I2); repaired, the same bytes come out (I4)."""
    state_dir = flow.stack.settings.state_dir
    lock = (flow.stack.project / "dvc.lock").read_text()
    damaged = next((state_dir / "spans/transactions").rglob("*.parquet"))
    flip_a_byte(damaged)
    forget_what_was_made(flow)
    train, ingest = map(flow.follow, [flow.trigger("train"), flow.trigger("ingest")])
    assert (states(train)["snapshot"], train.tasks["snapshot"].try_number) == ("failed", 1)
    assert damaged.name in flow.last_words(train, "snapshot")
    assert (states(ingest)["audit"], ingest.tasks["audit"].try_number) == ("failed", 1)
    assert states(ingest)["pin"] == "upstream_failed"
    flow.stack.run("ingest", "repair")
    assert flow.run("train").state == "success"
    assert (flow.stack.project / "dvc.lock").read_text() == lock
    assert count(flow.stack.settings).spans == flow.counts.spans


def flip_a_byte(file: Path) -> None:
    """In the middle; a span is written read-only."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.chmod(0o644)
    file.write_bytes(data)


def forget_what_was_made(flow: Flow) -> None:
    """As in a fresh clone: nothing is in DVC's cache, so that every stage runs."""
    shutil.rmtree(flow.stack.settings.state_dir / "dvc" / "cache")
    shutil.rmtree(flow.stack.project / "data")
