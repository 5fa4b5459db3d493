"""A training job whose driver takes every committed checkpoint for good: the negative control's only change."""

import contextlib
from collections.abc import Callable, Iterator

from koboshi.exits import run_and_exit
from koboshi.training import resumption
from koboshi.training.job import run_job
from koboshi.training.pool import Pool
from koboshi.training.ray_pool import ray_pool
from koboshi.training.spec import TrainingSpec


@contextlib.contextmanager
def trusting_pool(spec: TrainingSpec, name: str, say: Callable[[str], None]) -> Iterator[Pool]:
    resumption.verify_state = lambda _store, _checkpoint: None  # type: ignore[assignment]
    with ray_pool(spec, name, say) as pool:
        yield pool


if __name__ == "__main__":
    run_and_exit(lambda: run_job(trusting_pool), "train")
