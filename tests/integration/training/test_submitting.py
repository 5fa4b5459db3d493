"""Many who want one training get one training (I6), also when its job fails and when Ray's head is killed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from koboshi.ledger import steps
from koboshi.stack.lifecycle import find_victim, strike
from koboshi.training import TrainingSpec
from tests.support.running_stack import RunningStack, clean_environment
from tests.support.trainings import chain_spec, events_of, final_states, ledger_of, undisturbed

pytestmark = pytest.mark.stack

UNITS = {"a": 5, "b": 5}
ROUNDS = 300_000  # some tenths of a second, so that there is a middle to be killed in
LIMIT_S = 240.0


@contextmanager
def submitters(stack: RunningStack, spec: TrainingSpec, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start some at once, each a process of its own; none outlives the test."""
    ray, file = stack.settings.ray, Path(spec.place.state_dir) / "wanted.json"
    file.write_text(spec.to_json())
    job = stack.project / "ray_jobs" / "train.py"
    command = [sys.executable, "-m", "tests.support.attain_training", file, ray.jobs_url, ray.token_path, job]
    started = [
        subprocess.Popen(
            [str(word) for word in command],
            cwd=stack.project,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def wait_for_commits(spec: TrainingSpec, least: int) -> None:
    """Until the run has some committed steps, so that there is something to go on from."""
    deadline = time.monotonic() + LIMIT_S
    while sum(len(steps.committed(ledger_of(spec), spec.key, name)) for name in UNITS) < least:
        assert time.monotonic() < deadline, "the training never got anywhere"
        time.sleep(0.1)


def assert_one_training(spec: TrainingSpec, started: list[subprocess.Popen[str]]) -> None:
    """All ended well with the same answer; the models are the undisturbed ones; the second attempt is the one."""
    ended = [process.communicate(timeout=LIMIT_S)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), ended[0]
    answers = {text.splitlines()[-1] for text in ended}
    wanted = {name: hashlib.sha256(state).hexdigest() for name, state in undisturbed(spec).items()}
    assert [json.loads(answer) for answer in answers] == [wanted]
    assert final_states(spec) == undisturbed(spec)
    with ledger_of(spec).snapshot() as connection:
        attempts = connection.exec_driver_sql("SELECT number, state FROM attempts ORDER BY number").all()
        commits = connection.exec_driver_sql("SELECT COUNT(*) FROM steps").scalar()
    assert [tuple(row) for row in attempts] == [(1, "failed"), (2, "succeeded")]
    assert commits == sum(UNITS.values())
    assert {event["job"] for event in events_of(spec, "job began")} == {spec.job_name(1), spec.job_name(2)}
    assert events_of(spec, "taken up")


def test_eight_at_once_and_the_job_fails(stack_of: Callable[..., RunningStack], tmp_path: Path) -> None:
    """Eight processes want the same training, and its driver is killed in the middle: one job after the other can
    commit, the second goes on from the first one's steps, and all eight get the same model."""
    stack = stack_of("ray")
    spec = chain_spec(tmp_path, steps=UNITS, rounds=ROUNDS, project=stack.project)
    with submitters(stack, spec, 8) as started:
        wait_for_commits(spec, 3)
        (driver,) = events_of(spec, "job began")
        os.kill(int(str(driver["pid"])), signal.SIGKILL)
        assert_one_training(spec, started)


def test_the_head_is_killed(stack_of: Callable[..., RunningStack], tmp_path: Path) -> None:
    """Ray forgets the job with its head: the next attempt goes on by itself, from the committed steps."""
    stack = stack_of("ray")
    spec = chain_spec(tmp_path, steps=UNITS, rounds=4 * ROUNDS, project=stack.project)
    with submitters(stack, spec, 2) as started:
        wait_for_commits(spec, 3)
        head = find_victim("ray-head", stack.settings, stack.paths)  # with the job's driver, which is its child
        assert head.pids[0] in strike(head, signal.SIGKILL)  # at once: a command would take as long as the rest
        assert_one_training(spec, started)
    stack.up("ray")
