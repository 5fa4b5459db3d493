"""koboshi's own job with one thing taken away: its workers tell of checkpoints that they have not written.

What it lacks against `ray_jobs/train.py` is the price of checkpoints. It can be run to its end once, and never resumed.
"""

import hashlib
from unittest import mock

from koboshi.exits import run_and_exit
from koboshi.refs import CheckpointRef
from koboshi.training.checkpoints import Saved
from koboshi.training.driver.loop import run_job
from koboshi.training.driver.worker import StepOrder, UnitWorker
from koboshi.training.on_ray.ray_pool import ray_pool
from koboshi.training.spec import Unit

NOTHING = hashlib.sha256(b"").hexdigest()


class ForgetfulWorker(UnitWorker):
    """A worker that keeps no checkpoints."""

    def _saved(self, order: StepOrder, unit: Unit, worth_s: float) -> Saved:  # noqa: ARG002 (it is not even dumped)
        nowhere = f"nowhere/{order.unit}/{order.step}"
        return Saved(CheckpointRef(order.run_key, order.unit, order.step, nowhere, NOTHING), 0, "")


if __name__ == "__main__":
    with mock.patch("koboshi.training.on_ray.ray_pool.UnitWorker", ForgetfulWorker):
        run_and_exit(lambda: run_job(ray_pool), "train")
