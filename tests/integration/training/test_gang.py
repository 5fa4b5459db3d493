"""One model of several workers on a real Ray: a kill in a round costs one share of it, and changes no bit (I5)."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from koboshi.events import in_words
from koboshi.formats.manifest import DatasetRef
from koboshi.ledger import steps
from koboshi.training import RunConfig, TrainingSpec
from koboshi.training.attach import TrainingResult, ensure_trained
from koboshi.training.data_parallel import data_parallel, merged
from koboshi.training.on_ray.ray_submit import RayJobs, submission
from koboshi.training.spec import training_key
from koboshi.training.testing.experiment import normal_form
from tests.support.gang_rounds import GangRounds
from tests.support.running_stack import RunningStack
from tests.support.small_table import small_table
from tests.support.splittable import epochs
from tests.support.trainings import events_of, final_states, ledger_of

pytestmark = pytest.mark.stack

LIMIT_S = 240.0
STEPS = 6
NET = {"random_state": 7, "hidden_layer_sizes": [32]}
SHARES = data_parallel(epochs("MLPClassifier", NET, steps=STEPS, epochs_a_step=8, scale=True), 3, "net")


def gang_spec(folder: Path, project: Path, table: DatasetRef) -> TrainingSpec:
    """Three shares on two workers and a spare."""
    place = RunConfig(str(project), str(folder), f"sqlite:///{folder / 'ledger.db'}", actors=2, lease_s=5.0)
    return TrainingSpec(training_key(table, SHARES, salt=str(folder)), table, SHARES, place)


def training(spec: TrainingSpec, stack: RunningStack, said: list[str]) -> "Future[TrainingResult]":
    jobs = RayJobs(str(stack.settings.ray.jobs_url), stack.settings.ray.token_path)
    start = submission(spec, stack.project / "ray_jobs" / "train.py")
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(ensure_trained, spec, jobs, ledger_of(spec), start, in_words(said.append))
    finally:
        executor.shutdown(wait=False)


def killed_in_a_round(spec: TrainingSpec, running: "Future[TrainingResult]") -> dict[str, Any]:
    """Kill the worker that began a step last, until one dies in the middle of its step; what the driver saw of it."""
    deadline, struck = time.monotonic() + LIMIT_S, set[Any]()
    while time.monotonic() < deadline and not running.done():
        for death in events_of(spec, "worker died"):
            if "unit" in death:
                return death
        begun = [event for event in events_of(spec, "step started") if event["step"] in range(2, STEPS)]
        if begun and (pid := begun[-1]["pid"]) not in struck and len(struck) == len(events_of(spec, "worker died")):
            struck.add(pid)
            os.kill(int(str(pid)), signal.SIGKILL)
        time.sleep(0.02)
    raise AssertionError(f"no worker was killed in a step; struck were {struck}")


def test_a_worker_killed_in_a_round_costs_its_share_of_it(
    stack_of: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """The other shares' steps are done once; the merged model is that of rounds in one process, undisturbed."""
    stack = stack_of("ray")
    (tmp_path / "table").mkdir()
    spec = gang_spec(tmp_path, stack.project, small_table(tmp_path / "table", rows=12_000))
    running = training(spec, stack, said := [])
    death = killed_in_a_round(spec, running)
    running.result(LIMIT_S)
    with threadpool_limits(1):
        control = GangRounds(SHARES, spec.table).to_the_end()
    assert normal_form(merged(list(final_states(spec).values()))) == normal_form(merged(control)), said[-5:]
    started = Counter((event["unit"], event["step"]) for event in events_of(spec, "step started"))
    again = started.pop((death["unit"], death["step"]))
    assert again <= 2  # 1, where it was killed just before it told that it began
    assert set(started.values()) == {1}
    assert len(started) == len(SHARES) * STEPS - 1
    for name in SHARES:
        committed = steps.committed(ledger_of(spec), spec.key, name)
        assert [step.checkpoint.step for step in committed] == list(range(1, STEPS + 1))
    (recovered,) = [event for event in events_of(spec, "recovered") if event["unit"] == death["unit"]]
    assert recovered["step"] == death["step"]
