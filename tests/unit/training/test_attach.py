"""Submit or attach, follow to the end, and what an end means: on a cluster that is played by the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import Permanent, Transient, Unavailable
from koboshi.events import in_words
from koboshi.ledger import intents
from koboshi.training import attach
from koboshi.training.attach import JobInfo, Submission, TrainingResult, ensure_trained, judge_job
from koboshi.training.driver.loop import train
from koboshi.training.spec import TrainingSpec
from tests.support.local_pool import LocalPool
from tests.support.trainings import chain_spec, journal_of, ledger_of

RUNNING, SUCCEEDED = JobInfo("RUNNING", None, ""), JobInfo("SUCCEEDED", 0, "")
FAILED, STOPPED = JobInfo("FAILED", 1, "crashed"), JobInfo("STOPPED", None, "")
REFUSED = JobInfo("FAILED", 65, "no")
START = Submission(lambda name: f"run {name}", {})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "POLL_S", 0.0)


@pytest.fixture
def spec(tmp_path: Path) -> TrainingSpec:
    return chain_spec(tmp_path, steps={"a": 2})


class Cluster:
    """Jobs that go through the given states; a job that succeeds has really trained."""

    def __init__(self, spec: TrainingSpec, *lives: list[JobInfo | Exception | None]) -> None:
        self.spec, self.lives = spec, dict(enumerate(lives, 1))
        self.submitted: list[str] = []
        self.text = "first line\n"

    def submit(self, name: str, entrypoint: str, env: object, title: str = "") -> bool:  # noqa: ARG002
        assert entrypoint == f"run {name}"
        new = name not in self.submitted
        self.submitted.append(name)
        return new

    def find(self, name: str) -> JobInfo | None:
        life = self.lives[int(name.rpartition("-")[2])]
        state = life.pop(0) if len(life) > 1 else life[0]
        if isinstance(state, Exception):
            raise state
        if state == SUCCEEDED:
            train(self.spec, LocalPool(), ledger_of(self.spec), journal_of(self.spec).emit)
        return state

    def log(self, name: str) -> str:
        self.text += f"line of {name}\n"
        return self.text


def attained(spec: TrainingSpec, jobs: Cluster, say: Callable[[str], None] = lambda _line: None) -> TrainingResult:
    return ensure_trained(spec, jobs, ledger_of(spec), START, in_words(say))


def states(spec: TrainingSpec) -> list[tuple[int, str]]:
    with ledger_of(spec).snapshot() as connection:
        rows = connection.exec_driver_sql("SELECT number, state FROM attempts ORDER BY number").all()
    return [(row.number, row.state) for row in rows]


@pytest.mark.parametrize(
    ("job", "verdict"),
    [
        (None, "again"),
        (RUNNING, "wait"),
        (JobInfo("PENDING", None, ""), "wait"),
        (SUCCEEDED, "succeeded"),
        (FAILED, "again"),
        (STOPPED, "again"),
        (REFUSED, "stop"),
    ],
)
def test_judge(job: JobInfo | None, verdict: str) -> None:
    assert judge_job(job) == verdict


def test_submits_follows_and_takes_the_result(spec: TrainingSpec) -> None:
    jobs, said = Cluster(spec, [RUNNING, RUNNING, SUCCEEDED]), list[str]()
    result = attained(spec, jobs, said.append)
    assert result.trained
    assert [step.checkpoint.step for step in result.units["a"]] == [1, 2]
    assert states(spec) == [(1, "succeeded")]
    assert said[0] == f"submitted job {spec.job_name(1)}"
    assert said[1:3] == ["first line", f"line of {spec.job_name(1)}"]
    assert said.count("first line") == 1


def test_a_complete_training_is_not_submitted_again(spec: TrainingSpec) -> None:
    attained(spec, Cluster(spec, [SUCCEEDED]))
    jobs = Cluster(spec)
    assert not attained(spec, jobs).trained
    assert jobs.submitted == []


def test_attaches_to_the_open_attempt(spec: TrainingSpec) -> None:
    """I6: a follower that died between its row and its submit, or after it, is no reason for another job."""
    intents.claim(ledger_of(spec), spec.key)
    jobs, said = Cluster(spec, [SUCCEEDED]), list[str]()
    jobs.submitted.append(spec.job_name(1))
    attained(spec, jobs, said.append)
    assert said[0] == f"attached to job {spec.job_name(1)}"
    assert states(spec) == [(1, "succeeded")]


@pytest.mark.parametrize("end", [FAILED, STOPPED, None])
def test_a_failed_or_forgotten_job_is_followed_by_the_next_attempt(spec: TrainingSpec, end: JobInfo | None) -> None:
    jobs, said = Cluster(spec, [RUNNING, end], [RUNNING, SUCCEEDED]), list[str]()
    assert attained(spec, jobs, said.append).trained
    assert jobs.submitted == [spec.job_name(1), spec.job_name(2)]
    assert states(spec) == [(1, "failed"), (2, "succeeded")]
    assert any("attempt 1 ended without a result" in line for line in said)


def test_a_job_that_says_stop_is_not_tried_again_and_its_last_words_are_told(spec: TrainingSpec) -> None:
    with pytest.raises(Permanent, match=f"line of {spec.job_name(1)}"):
        attained(spec, Cluster(spec, [REFUSED]))
    assert states(spec) == [(1, "failed")]


def test_gives_up_for_now_after_some_attempts(spec: TrainingSpec) -> None:
    with pytest.raises(Transient, match="3 attempts"):
        attained(spec, Cluster(spec, *([FAILED] for _ in range(attach.ATTEMPTS))))


def test_a_cluster_that_is_away_for_a_moment_is_waited_for(spec: TrainingSpec) -> None:
    jobs, said = Cluster(spec, [RUNNING, Unavailable("away"), Unavailable("away"), SUCCEEDED]), list[str]()
    assert attained(spec, jobs, said.append).trained
    assert sum("waiting for at most" in line for line in said) == 1


def test_a_cluster_that_stays_away_is_to_be_tried_later(spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt stays open: the job may be running, and the next call attaches to it."""
    monkeypatch.setattr(attach, "PATIENCE_S", 0.0)
    with pytest.raises(Unavailable, match="away"):
        attained(spec, Cluster(spec, [Unavailable("away")]))
    assert states(spec) == [(1, "open")]


def test_a_final_checkpoint_that_went_bad_is_made_again(spec: TrainingSpec) -> None:
    """I2: found before use, named; the attempt that had succeeded is revoked, the next one mends it."""
    done = attained(spec, Cluster(spec, [SUCCEEDED])).units["a"][-1].checkpoint
    path = spec.place.checkpoints / done.path
    path.write_bytes(b"rot")
    said = list[str]()
    assert attained(spec, Cluster(spec, [], [SUCCEEDED]), said.append).trained
    assert any("not complete any more" in line and str(path) in line for line in said)
    assert path.read_bytes() != b"rot"
    assert states(spec) == [(1, "failed"), (2, "succeeded")]


def test_who_closes_an_attempt_second_does_not_mind(spec: TrainingSpec) -> None:
    """Of many followers one may see a job forgotten that another saw succeed: the committed steps count."""
    jobs = Cluster(spec, [RUNNING, SUCCEEDED])
    found = jobs.find

    def find(name: str) -> JobInfo | None:
        job = found(name)
        if job == SUCCEEDED:
            intents.close(ledger_of(spec), intents.claim(ledger_of(spec), spec.key), "failed", "seen by another")
        return job

    jobs.find = find  # type: ignore[method-assign]
    assert attained(spec, jobs).trained
