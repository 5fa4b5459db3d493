"""A training job that forgets what was committed and begins at step 1: the negative control's only change."""

import contextlib
from collections.abc import Iterator

from koboshi.events import Sink
from koboshi.exits import run_and_exit
from koboshi.ledger import Ledger, leases, steps
from koboshi.training.driver.loop import run_job
from koboshi.training.driver.pool import Pool
from koboshi.training.on_ray.ray_pool import ray_pool
from koboshi.training.spec import TrainingSpec


@contextlib.contextmanager
def forget_then_open(spec: TrainingSpec, name: str, emit: Sink) -> Iterator[Pool]:
    """The pool joins the cluster first, so that the driver before has ended; then every step is quarantined."""
    with ray_pool(spec, name, emit) as pool:
        ledger = Ledger(spec.place.ledger_url)
        lease = leases.acquire(ledger, f"forgetting {name}", name, 60.0)
        for unit in spec.units:
            for step in steps.committed(ledger, spec.key, unit):
                steps.quarantine(ledger, lease, step.checkpoint, "forgotten")
        ledger.close()
        yield pool


if __name__ == "__main__":
    run_and_exit(lambda: run_job(forget_then_open), "train")
