"""A training job whose pool keeps the step counter and forgets the checkpoint: the negative control's only change."""

import dataclasses

from koboshi.exits import run_and_exit
from koboshi.training.job import run_job
from koboshi.training.ray_pool import RayPool
from koboshi.training.worker import StepOrder


class ForgetfulPool(RayPool):
    def begin(self, worker: str, order: StepOrder) -> None:
        super().begin(worker, dataclasses.replace(order, resume=None))


if __name__ == "__main__":
    run_and_exit(lambda: run_job(ForgetfulPool), "train")
