"""A training stage that claims no attempt and submits under a name that nobody else knows: the one change."""

import time
import uuid

from koboshi.drills.orchestration.train_stage import train
from koboshi.errors import Transient
from koboshi.events import JobFollowed, Sink
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.training import TrainingSpec
from koboshi.training.attach import Jobs, Submission, TrainingResult, final_steps, judge_job

JOBS_OF_A_TRY = 4


def under_a_random_name(
    spec: TrainingSpec, jobs: Jobs, ledger: Ledger, submission: Submission, emit: Sink
) -> TrainingResult:
    """On a busy machine a job may give up to wait for the lease: then it submits one more."""
    for _ in range(JOBS_OF_A_TRY):
        name = f"{spec.key[:16]}-{uuid.uuid4().hex[:6]}"
        new = jobs.submit(name, submission.entrypoint(name), submission.env)
        emit(JobFollowed(run=spec.key, job=name, new=new))
        while judge_job(jobs.find(name)) == "wait":
            time.sleep(1)
        if (done := final_steps(spec, ledger)) is not None:
            return TrainingResult(done, trained=True)
    raise Transient(f"{JOBS_OF_A_TRY} jobs came to nothing.")


if __name__ == "__main__":
    run_and_exit(lambda: train(under_a_random_name), "train")
