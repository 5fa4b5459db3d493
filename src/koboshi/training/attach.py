"""One job for each key: submit it or attach to it, and follow it to its end.

Whoever wants a training calls `ensure_trained`, as often and as many at once as they like. The attempt's row in the
ledger comes before the submit, and gives all of them the same job name; Ray takes a name once; the driver's lease lets
one driver commit. So at most one job can commit, and a follower that is killed or interrupted harms nothing: the job
runs on, and the next call attaches to it.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

from koboshi.errors import Conflict, Corrupt, Permanent, Transient, Unavailable
from koboshi.events import AttemptEnded, FinalStateBad, JobFollowed, JobSaid, NoAnswer, Sink
from koboshi.ledger import Ledger, intents, steps
from koboshi.ledger.intents import Attempt
from koboshi.ledger.steps import CommittedStep
from koboshi.training.checkpoints import verify_state
from koboshi.training.spec import TrainingSpec

ATTEMPTS = 3  # by one call, before it asks to be tried again later
PATIENCE_S = 90.0  # for a jobs API that does not answer: a supervised head is back well before
POLL_S = 1.0
STOP = 65  # the job's own word that trying again is of no use

T = TypeVar("T")
JobVerdict = Literal["wait", "succeeded", "again", "stop"]


@dataclasses.dataclass(frozen=True, slots=True)
class JobInfo:
    """How a job is: Ray's status, the exit code of its driver once there is one, and Ray's message."""

    status: str
    exit_code: int | None
    message: str


class Jobs(Protocol):
    """Where jobs run."""

    def submit(self, name: str, entrypoint: str, env: Mapping[str, str], title: str = "") -> bool:
        """Submit; False when the name is taken already. `title` is what people read beside the name."""

    def find(self, name: str) -> JobInfo | None:
        """How a job is, or None when it is not known."""

    def log(self, name: str) -> str:
        """What it has written so far."""


@dataclasses.dataclass(frozen=True, slots=True)
class Submission:
    """How a job is started: a command line for a job's name, and its environment; `title` says what it is about."""

    entrypoint: Callable[[str], str]
    env: Mapping[str, str]
    title: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingResult:
    """A training that is complete: all committed steps of each unit; `trained` if a job ran for it in this call."""

    units: Mapping[str, list[CommittedStep]]
    trained: bool


def final_steps(spec: TrainingSpec, ledger: Ledger) -> Mapping[str, list[CommittedStep]] | None:
    """All committed steps of each unit, if the last step of every unit is committed; files are not looked at."""
    found = {name: steps.committed(ledger, spec.key, name) for name in spec.units}
    complete = all(rows and rows[-1].checkpoint.step == spec.units[name].steps for name, rows in found.items())
    return found if complete else None


def judge_job(job: JobInfo | None) -> JobVerdict:
    """What an attempt is worth, once it was submitted: a job that Ray has forgotten was lost with the head."""
    if job is None or job.status in ("FAILED", "STOPPED"):
        return "stop" if job is not None and job.exit_code == STOP else "again"
    return "succeeded" if job.status == "SUCCEEDED" else "wait"


def ensure_trained(
    spec: TrainingSpec, jobs: Jobs, ledger: Ledger, submission: Submission, emit: Sink
) -> TrainingResult:
    """Run a training, or follow the job that runs it; steps that are committed and verify are not done again.

    Key: the spec's key. Commit: the attempt's row (`intents.claim`) before the submit; then each step's row, by the
    job's driver. Raises `Permanent` when a unit cannot be trained, `Transient` when attempts end without a result.
    """
    if complete := _complete(spec, ledger, emit):
        return TrainingResult(complete, trained=False)
    for _ in range(ATTEMPTS):
        attempt = intents.claim(ledger, spec.key)
        if attempt.state == "succeeded":
            intents.revoke(ledger, attempt, "its checkpoints are not complete any more")
            continue
        outcome, detail = _follow(spec, jobs, attempt, submission, emit)
        complete = _complete(spec, ledger, emit)
        # Others who follow the same job close it, too; the first word counts, and the ledger's steps count more.
        with contextlib.suppress(Conflict):
            intents.close(ledger, attempt, "succeeded" if complete else "failed", detail)
        if complete:
            return TrainingResult(complete, trained=True)
        if outcome == "stop":
            raise Permanent(detail)
        emit(AttemptEnded(run=spec.key, attempt=attempt.number, reason=detail))
    raise Transient(f"{ATTEMPTS} attempts at training {spec.key[:16]} ended without a result: try again later.")


def _follow(
    spec: TrainingSpec, jobs: Jobs, attempt: Attempt, submission: Submission, emit: Sink
) -> tuple[JobVerdict, str]:
    """Submit or attach, hand on the log line by line, return what the job came to and its last words."""
    name, run, seen = spec.job_name(attempt.number), spec.key, 0
    entrypoint, env, title = submission.entrypoint(name), submission.env, submission.title
    new = _patiently(run, emit, lambda: jobs.submit(name, entrypoint, env, title))
    emit(JobFollowed(run=run, job=name, new=new))
    while True:
        job = _patiently(run, emit, lambda: jobs.find(name))
        lines = _patiently(run, emit, lambda: jobs.log(name)).splitlines() if job else []
        for line in lines[seen:]:
            emit(JobSaid(run=run, line=line))
        seen = max(seen, len(lines))
        if (verdict := judge_job(job)) != "wait":
            return verdict, _last_words(job, lines)
        time.sleep(POLL_S)


def _last_words(job: JobInfo | None, lines: list[str]) -> str:
    if job is None:
        return "Ray does not know the job any more, its head was restarted"
    return next((line for line in reversed(lines) if line.strip()), job.message)


def _patiently(run: str, emit: Sink, call: Callable[[], T]) -> T:
    """Call until it answers, for at most `PATIENCE_S`."""
    deadline, told = time.monotonic() + PATIENCE_S, False
    while True:
        try:
            return call()
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            if not told:
                emit(NoAnswer(run=run, within_s=PATIENCE_S, reason=str(error)))
            told = True
            time.sleep(POLL_S)


def _complete(spec: TrainingSpec, ledger: Ledger, emit: Sink) -> Mapping[str, list[CommittedStep]] | None:
    """All steps of all units, if they are committed and the final checkpoints verify."""
    units = final_steps(spec, ledger)
    try:
        for committed in (units or {}).values():
            verify_state(spec.place.store_url, committed[-1].checkpoint)
    except Corrupt as error:
        emit(FinalStateBad(run=spec.key, reason=str(error)))
        return None
    return units
