"""From the shell, by a start of the script itself, and by attaching: the same final states, to the byte."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.probes.ray_probe import client_environment
from koboshi.training import TrainingSpec
from tests.support.running_stack import KOBOSHI, UNMEASURED, RunningStack, clean_environment
from tests.support.trainings import chain_spec, events_of, final_states, undisturbed

pytestmark = pytest.mark.stack

UNITS = {"a": 4, "b": 3}
ROUNDS = 200_000
LIMIT_S = 240.0


def specified(folder: Path, project: Path) -> tuple[TrainingSpec, str]:
    """The same units under a key of their own: a key is trained once, so each way needs one."""
    folder.mkdir()
    spec, file = chain_spec(folder, steps=UNITS, rounds=ROUNDS, project=project), folder / "wanted.json"
    file.write_text(spec.to_json())
    return spec, str(file)


def started(stack: RunningStack, *command: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=stack.project,
        env=clean_environment(**UNMEASURED, **environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answer(process: "subprocess.Popen[str]") -> str:
    """What a process has written, once it has ended well."""
    try:
        text = process.communicate(timeout=LIMIT_S)[0]
    finally:
        process.kill()
    assert process.returncode == 0, text
    return text


def test_the_shell_the_script_and_whoever_attaches_get_the_same_states(
    stack_of: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """I6: two runs from the shell share one job; the script, started by hand, comes to the same bytes without one; the
    watcher beside them ends when the training has ended, and the history has it."""
    stack = stack_of("ray")
    ray = stack.settings.ray
    shell, shell_file = specified(tmp_path / "shell", stack.project)
    direct, direct_file = specified(tmp_path / "direct", stack.project)
    here = {"KOBOSHI_STATE_DIR": str(tmp_path / "shell"), "KOBOSHI_RAY__JOBS_URL": str(ray.jobs_url)}
    here |= {"KOBOSHI_RAY__TOKEN_PATH": str(ray.token_path)}
    by_hand = {"RAY_ADDRESS": str(ray.address), **client_environment(str(ray.address), ray.token_path)}

    first, second = [started(stack, str(KOBOSHI), "train", "run", shell_file, **here) for _ in range(2)]
    script = started(stack, sys.executable, "ray_jobs/train.py", direct_file, "by-hand", **by_hand)
    texts = [answer(process) for process in (first, second)]
    watched = answer(started(stack, str(KOBOSHI), "train", "watch", **here))
    answer(script)

    assert final_states(shell) == undisturbed(shell) == final_states(direct)
    assert sorted(line.split()[0] for text in texts for line in text.splitlines()[:1]) == ["attached", "submitted"]
    assert all("final state" in text for text in texts)
    assert [event["job"] for event in events_of(shell, "job began")] == [shell.job_name(1)]
    assert "is complete, 7 of 7 steps committed, 2 of 2 units done" in watched.splitlines()[-1]
    (told,) = json.loads(answer(started(stack, str(KOBOSHI), "train", "history", "--json", **here)))
    assert (told["key"], told["outcome"], told["attempts"]) == (shell.key, "complete", 1)
    by_hand_here = {**here, "KOBOSHI_STATE_DIR": str(tmp_path / "direct")}
    (told,) = json.loads(answer(started(stack, str(KOBOSHI), "train", "history", "--json", **by_hand_here)))
    assert (told["job"], told["outcome"], told["steps"]) == ("by-hand", "complete", 7)


def test_a_watcher_sees_workers_and_their_beats_while_they_train(
    stack_of: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """What the driver shows comes through: places, pids, beats and suspicion of real workers on Ray."""
    stack = stack_of("ray")
    folder = tmp_path / "seen"
    folder.mkdir()
    spec = chain_spec(folder, steps={"a": 8, "b": 8}, rounds=3 * ROUNDS, project=stack.project)
    (folder / "wanted.json").write_text(spec.to_json())
    ray = stack.settings.ray
    here = {"KOBOSHI_STATE_DIR": str(folder), "KOBOSHI_RAY__JOBS_URL": str(ray.jobs_url)}
    here |= {"KOBOSHI_RAY__TOKEN_PATH": str(ray.token_path)}
    run = started(stack, str(KOBOSHI), "train", "run", str(folder / "wanted.json"), **here)
    seen = []
    while run.poll() is None:
        watch = started(stack, str(KOBOSHI), "train", "watch", "--json", **here)
        seen += [json.loads(line) for line in answer(watch).splitlines()]
    answer(run)
    pictures = [one for one in seen if one]
    workers = [worker for one in pictures for worker in one["workers"]]
    ready = {event["pid"] for event in events_of(spec, "worker ready")}
    assert {worker["pid"] for worker in workers} <= ready
    assert any(worker["unit"] in ("a", "b") and worker["silence_s"] is not None for worker in workers)
    assert any(worker["cpu_s"] > 0 and worker["state"] in "RSD" for worker in workers)
    assert pictures[-1]["outcome"] == "complete"
    assert [one["steps_done"] for one in pictures] == sorted(one["steps_done"] for one in pictures)
