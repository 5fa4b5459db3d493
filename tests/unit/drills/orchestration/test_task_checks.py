"""Each check of the drills that kill what runs a task can fail, and says what is wrong."""

import dataclasses
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.kit import confluent_topic, faults
from koboshi.drills.kit.confluent_topic import Tally, landed_equals_the_broker
from koboshi.drills.orchestration import task_environment
from koboshi.drills.orchestration.scheduler_killed import both_tasks_were_interrupted
from koboshi.drills.orchestration.task_environment import (
    TaskEnvironment,
    airflow_is_ours_and_well,
    every_step_was_done_once,
    retry_attached,
    task_was_tried_again,
    tried_again,
)
from koboshi.drills.training.training_checks import one_job
from koboshi.drills.training.witnesses import Job, StepFile
from koboshi.events import Event, JobBegan, JobFollowed
from koboshi.journal import Journal
from koboshi.orchestration.airflow_client import Run, TaskState, Try
from koboshi.probes import Health
from koboshi.settings import Airflow

INJECTION = Injection("SIGKILL", "the task", at_s=100.0, at_monotonic=1.0, took=True, pid=11)
AGAIN = dataclasses.replace(INJECTION, at_s=140.0, pid=12)
FIRST = Try(1, "failed", 11, began_s=95.0, ended_s=None)
SECOND = Try(2, "success", 12, began_s=135.0, ended_s=150.0)
JOB = Job("key-1", "SUCCEEDED", started_ms=98_000, ended_ms=149_000)


class Environment:
    run, landing = Run("drill_train", "drill-x"), Run("drill_ingest", "drill-x")
    folder, units = Path("folder"), ("a",)

    def __init__(self) -> None:
        self.told_tries = {"train": [FIRST, SECOND], "land": [FIRST, SECOND]}
        self.told_jobs = [JOB]
        self.missing: list[str] = []
        self.told_files = [StepFile(float(step), "a", step, step) for step in (1, 2, 3)]
        self.told_tally = Tally(10, {}, {}, {})
        self.airflow = self.ray = self.files = self.task = self
        self.settings: Any = self
        self.airflow_settings = Airflow(base_url="http://127.0.0.1:1")

    def tries(self, _run: Run, task_id: str) -> list[Try]:
        return self.told_tries[task_id]

    def jobs(self, _folder: Path) -> list[Job]:
        return self.told_jobs

    def written(self) -> list[StepFile]:
        return self.told_files

    def missing_steps(self) -> list[str]:
        return self.missing

    def predictions(self, _unit: str) -> list[float]:
        return [0.5]

    def tally(self) -> Tally:
        return self.told_tally


@pytest.fixture
def environment() -> Any:
    return Environment()


def test_all_checks_hold_on_good_evidence(environment: Any) -> None:
    for check in (task_was_tried_again, retry_attached, every_step_was_done_once, one_job):
        assert check(environment, [INJECTION]).holds, check(environment, [INJECTION]).said


def test_a_try_that_was_lost_before_the_injection_is_not_the_next_one(environment: Any) -> None:
    lost = Try(1, "failed", 10, began_s=50.0, ended_s=90.0)
    killed, again = dataclasses.replace(FIRST, number=2), dataclasses.replace(SECOND, number=3)
    environment.told_tries["train"] = [lost, killed, again]
    assert task_was_tried_again(environment, [INJECTION]).holds
    assert retry_attached(environment, [INJECTION]).holds
    environment.told_tries["train"] = [lost, dataclasses.replace(killed, state="success")]
    assert not task_was_tried_again(environment, [INJECTION]).holds


def test_the_held_job_goes_on_only_once_a_try_after_the_injection_follows_it(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tries there were before: the killed one still counts as running for half a minute."""
    here: Any = SimpleNamespace(
        airflow=SimpleNamespace(tries=environment.tries), run=environment.run, injections=[INJECTION]
    )
    lost = Try(1, "failed", 10, began_s=50.0, ended_s=90.0)
    killed = Try(2, "running", 11, began_s=95.0, ended_s=None)
    again = Try(3, "running", 12, began_s=135.0, ended_s=None)
    queued, followed = dataclasses.replace(again, state="queued"), JobFollowed(job="key-1", new=False)
    cases: list[tuple[list[Try], list[tuple[float, Event]], bool]] = [
        ([lost, killed], [(136.0, followed)], False),
        ([lost, killed, again], [(96.0, followed), (136.0, JobBegan(job="key-1", pid=7))], False),
        ([lost, killed, queued], [(136.0, followed)], False),
        ([lost, killed, again], [(96.0, followed), (136.0, followed)], True),
    ]
    for number, (tries, told, wanted) in enumerate(cases):
        journal = Journal(tmp_path / f"{number}.jsonl")
        for at_s, event in told:
            monkeypatch.setattr(time, "time", lambda at_s=at_s: at_s)
            journal.emit(event)
        environment.told_tries["train"] = tries
        here.spec = SimpleNamespace(place=SimpleNamespace(journal=journal.path))
        assert TaskEnvironment.is_followed(here) is wanted


def test_a_task_is_tried_again_also_when_airflow_is_quicker_than_who_looks() -> None:
    """The killed try is 2; what waited then, or had ended, is not tried again when it runs later."""

    def change(at_s: float, task: str, state: str | None, number: int) -> tuple[float, TaskState]:
        return at_s, TaskState(task, state, number, None)

    before = [
        change(92.0, "audit", None, 0),
        change(95.0, "train", "running", 1),
        change(97.0, "train", "running", 2),
        change(98.0, "land", "running", 1),
    ]
    unseen = [change(120.0, "audit", "running", 1), change(118.0, "train", "running", 3)]
    assert tried_again([*before, *unseen], INJECTION) == [unseen[1]]
    told = [
        change(110.0, "land", "up_for_retry", 1),
        change(111.0, "land", None, 2),
        change(112.0, "land", "running", 2),
    ]
    assert tried_again([*before, *told], INJECTION) == told
    assert tried_again([*before, change(130.0, "train", "success", 2)], INJECTION) == []


@pytest.mark.parametrize(
    ("tries", "took"),
    [
        ([], True),
        ([SECOND], True),
        ([FIRST, dataclasses.replace(SECOND, state="failed")], True),
        ([dataclasses.replace(FIRST, state="success"), SECOND], True),
        ([FIRST, SECOND], False),
    ],
    ids=["no try", "one try", "it failed", "the first was not lost", "its process is there"],
)
def test_task_was_tried_again_fails(environment: Any, tries: list[Try], took: bool) -> None:
    environment.told_tries["train"] = tries
    assert not task_was_tried_again(environment, [dataclasses.replace(INJECTION, took=took)]).holds


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([], "Ray ran 0 jobs for one training: none"),
        ([JOB, dataclasses.replace(JOB, name="key-2")], "Ray ran 2 jobs for one training: key-1 SUCCEEDED, key-2"),
        ([dataclasses.replace(JOB, status="FAILED")], "key-1 FAILED"),
        ([dataclasses.replace(JOB, ended_ms=134_000)], "-1 s before its end"),
    ],
    ids=["none", "two", "failed", "over before"],
)
def test_retry_attached_fails(environment: Any, jobs: list[Job], said: str) -> None:
    environment.told_jobs = jobs
    found = retry_attached(environment, [INJECTION])
    assert not found.holds
    assert said in found.said


def test_every_step_was_done_once_fails(environment: Any) -> None:
    environment.told_files.append(StepFile(9.0, "a", 2, 99))
    assert every_step_was_done_once(environment, [INJECTION]).said == "a/step-2 was written twice"
    environment.missing = ["a/step-3"]
    assert every_step_was_done_once(environment, [INJECTION]).said.startswith("a/step-3 is nowhere")


def test_one_job_fails(environment: Any) -> None:
    for jobs in ([], [JOB, JOB], [dataclasses.replace(JOB, status="STOPPED")]):
        environment.told_jobs = jobs
        assert not one_job(environment, [INJECTION]).holds


@pytest.mark.parametrize("task", ["land", "train"])
def test_both_tasks_were_interrupted_fails(environment: Any, task: str) -> None:
    assert both_tasks_were_interrupted(environment, [INJECTION, AGAIN]).holds
    assert not both_tasks_were_interrupted(environment, [INJECTION, INJECTION]).holds
    assert not both_tasks_were_interrupted(environment, [INJECTION, dataclasses.replace(AGAIN, took=False)]).holds
    environment.told_tries[task] = [SECOND]
    assert not both_tasks_were_interrupted(environment, [INJECTION, AGAIN]).holds


def test_landed_equals_the_broker_fails(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    audited: list[str] = []
    monkeypatch.setattr(confluent_topic, "_audited", lambda _environment: audited)
    assert landed_equals_the_broker(environment, [INJECTION]).holds
    audited.append("audit: partition 1 is changed")
    assert landed_equals_the_broker(environment, [INJECTION]).said == "audit: partition 1 is changed"
    audited.clear()
    environment.told_tally = Tally(10, {0: [7]}, {}, {})
    assert "offset 7 is missing" in landed_equals_the_broker(environment, [INJECTION]).said


def test_the_steady_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        settings = type("S", (), {"airflow": Airflow(base_url="http://127.0.0.1:1")})

    ours, well = [True], [Health(True, "fresh")]
    monkeypatch.setattr(faults, "is_ours", lambda *_: ours[0])
    monkeypatch.setattr(task_environment, "probe_airflow", lambda *_: well[0])
    here: Any = Here()
    assert airflow_is_ours_and_well(here).holds
    well[0] = Health(False, "stale")
    assert not airflow_is_ours_and_well(here).holds
    ours[0] = False
    assert "koboshi up" in airflow_is_ours_and_well(here).said
