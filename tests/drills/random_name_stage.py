"""A training stage that claims no attempt and submits under a name that nobody else knows: the one change."""

import time
import uuid

from koboshi.drills.scenes.train_stage import train
from koboshi.errors import Transient
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger
from koboshi.training import TrainingSpec
from koboshi.training.attach import Attained, Jobs, Say, Submission, final_steps, judge


def under_a_random_name(spec: TrainingSpec, jobs: Jobs, ledger: Ledger, submission: Submission, say: Say) -> Attained:
    name = f"{spec.key[:16]}-{uuid.uuid4().hex[:6]}"
    say(f"submitted job {name}: {jobs.submit(name, submission.entrypoint(name), submission.env)}")
    while judge(jobs.find(name)) == "wait":
        time.sleep(1)
    if (done := final_steps(spec, ledger)) is None:
        raise Transient(f"job {name} came to nothing.")
    return Attained(done, trained=True)


if __name__ == "__main__":
    run_and_exit(lambda: train(under_a_random_name), "train")
