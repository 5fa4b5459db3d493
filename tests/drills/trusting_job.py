"""A training job whose driver takes every committed checkpoint for good: the negative control's only change."""

import contextlib
from collections.abc import Iterator

from koboshi.events import Sink
from koboshi.exits import run_and_exit
from koboshi.training.driver import resumption
from koboshi.training.driver.loop import run_job
from koboshi.training.driver.pool import Pool
from koboshi.training.on_ray.ray_pool import ray_pool
from koboshi.training.spec import TrainingSpec


@contextlib.contextmanager
def trusting_pool(spec: TrainingSpec, name: str, emit: Sink) -> Iterator[Pool]:
    resumption.verify_state = lambda _store, _checkpoint: None  # type: ignore[assignment]
    with ray_pool(spec, name, emit) as pool:
        yield pool


if __name__ == "__main__":
    run_and_exit(lambda: run_job(trusting_pool), "train")
