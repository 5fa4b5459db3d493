"""A training job whose pool keeps the step counter and forgets the checkpoint: the negative control's only change."""

import contextlib
import dataclasses
from collections.abc import Iterator

from koboshi.events import Sink
from koboshi.exits import run_and_exit
from koboshi.training.driver.loop import run_job
from koboshi.training.driver.worker import StepOrder
from koboshi.training.on_ray.ray_pool import RayPool, on_ray
from koboshi.training.spec import TrainingSpec


@contextlib.contextmanager
def forgetful_pool(spec: TrainingSpec, name: str, emit: Sink) -> Iterator[RayPool]:
    with on_ray(spec, name, emit) as pool:
        given = pool.begin

        def begin(worker: str, order: StepOrder) -> None:
            given(worker, dataclasses.replace(order, resume=None))

        pool.begin = begin  # type: ignore[method-assign]
        yield pool


if __name__ == "__main__":
    run_and_exit(lambda: run_job(forgetful_pool), "train")
