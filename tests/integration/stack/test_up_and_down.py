"""The stack as a user meets it: real parts, really killed."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.training.witnesses import RayWitness
from koboshi.stack.part import StartHistory
from koboshi.stack.probe_records import STALE_S
from koboshi.stack.process_table import find_leftovers, read_process, recorded_supervisor
from tests.support.running_stack import RunningStack, project_copy

pytestmark = [pytest.mark.stack, pytest.mark.airflow]


def until(what: Callable[[], bool], limit_s: float = 90) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline, f"not within {limit_s} s"
        time.sleep(0.5)


def parts(stack: RunningStack) -> dict[str, dict[str, Any]]:
    shown = json.loads(stack.run("status", "--json", check=False).stdout)
    return {part["name"]: part for part in shown["parts"]}


def listening(pids: set[int]) -> set[str]:
    """The local addresses (hexadecimal, as the kernel shows them) that some processes listen on."""
    inodes = set()
    for pid in pids:
        try:
            links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        found |= {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}
    return found


def test_up_returns_when_every_part_has_done_real_work(stack: RunningStack) -> None:
    """Every part healthy, every address known, the logins shown, and nothing listens beyond this machine."""
    done = stack.run("status", "--json")
    shown = json.loads(done.stdout)
    assert {part["state"] for part in shown["parts"]} == {"healthy"}
    assert len(shown["parts"]) == 14
    assert all(part["pids"] and part["memory_mb"] for part in shown["parts"])
    assert next(login for login in shown["logins"] if login["what"] == "Airflow")["password"]
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    assert listening(find_leftovers(stack.paths)) <= loopback


@pytest.mark.parametrize("part", ["kafka", "replica-2", "gateway"])
def test_a_killed_part_comes_back_by_itself(stack: RunningStack, part: str) -> None:
    """`koboshi kill` says which process it was; another one does the work afterwards."""
    before = StartHistory.of(stack.paths.own, part).starts()[-1]
    said = stack.run("kill", part).stdout
    assert f"SIGKILL was sent to {part}, process {before.pid}" in said
    until(
        lambda: (
            StartHistory.of(stack.paths.own, part).starts()[-1] != before and parts(stack)[part]["state"] == "healthy"
        )
    )
    assert read_process(before.pid) is None or StartHistory.of(stack.paths.own, part).starts()[-1].pid != before.pid


def test_looking_at_the_stack_leaves_no_job_behind_and_asking_anew_leaves_one(stack: RunningStack) -> None:
    """`koboshi status` shows the last probe of each part, which is not older than the prober lets it become."""
    settings = stack.settings
    witness = RayWitness(str(settings.ray.jobs_url), settings.ray.token_path)
    before = len(witness._get("/api/jobs/"))
    shown = parts(stack)
    assert shown["ray-head"]["detail"].startswith(("a task run on each of", "the head sees"))
    now = time.time()
    assert {name for name, part in shown.items() if now - (part["probed_at"] or now) > STALE_S} == set()
    assert len(witness._get("/api/jobs/")) == before
    anew = json.loads(stack.run("status", "--probe", "--json").stdout)["parts"]
    assert {part["probed_at"] for part in anew} == {None}
    assert len(witness._get("/api/jobs/")) == before + 1


def test_a_part_that_was_put_down_stays_down_until_up(stack: RunningStack) -> None:
    """And nothing else ends; a killed one comes back by itself."""
    before = {name: part["pids"] for name, part in parts(stack).items()}
    said = stack.run("down", "replica-2").stdout
    assert "replica-2: down until `koboshi up replicas`" in said
    after = parts(stack)
    assert after["replica-2"]["state"] == "stopped"
    assert [name for name, part in after.items() if part["pids"] != before[name]] == ["replica-2"]
    assert stack.run("down", "replica-2").returncode == 0
    stack.up("mlflow")
    assert parts(stack)["replica-2"]["state"] == "stopped"
    stack.up("replicas")
    until(lambda: parts(stack)["replica-2"]["state"] == "healthy")
    refused = stack.run("down", "zookeeper", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (65, 1)


def test_a_supervisor_that_was_killed_leaves_no_second_copy_to_the_next_up() -> None:
    """Its parts are ended before new ones start; a stopped one too. Beside the shared stack: two clones at once.

    At last koboshi.toml can no longer be read, and `down` leaves nothing all the same.
    """
    with project_copy() as other:
        other.up("mlflow", "kafka", "gateway")
        supervisor = recorded_supervisor(other.paths)
        first = find_leftovers(other.paths)
        assert supervisor is not None
        os.kill(StartHistory.of(other.paths.own, "kafka").starts()[-1].pid, signal.SIGSTOP)
        os.kill(supervisor[0], signal.SIGKILL)
        other.up("gateway")
        assert find_leftovers(other.paths).isdisjoint(first)
        assert {name: part["state"] for name, part in parts(other).items()} == {
            "prober": "healthy",
            "gateway": "healthy",
        }
        (other.project / "koboshi.toml").write_bytes(b"[commands\n\0\xff")
        assert "koboshi.toml cannot be read" in other.run("status", check=False).stderr
        other.down()


def test_what_runs_elsewhere_is_not_started_and_its_health_is_shown(stack: RunningStack) -> None:
    """An address in the environment is enough."""
    address = stack.settings.kafka.bootstrap_servers
    with project_copy() as other:
        setting = {"KOBOSHI_KAFKA__BOOTSTRAP_SERVERS": str(address)}
        shown = json.loads(other.run("status", "--json", **setting).stdout)["parts"]
        assert [(part["name"], part["state"]) for part in shown] == [("kafka", "healthy")]
        said = other.run("up", "kafka", **setting).stdout
        assert "elsewhere: a record produced and read" in said
        assert find_leftovers(other.paths) == set()


def test_a_part_that_does_not_exist_is_one_sentence(stack_project: RunningStack) -> None:
    """Exit 65, and no stack trace."""
    done = stack_project.run("up", "zookeeper", check=False)
    assert done.returncode == 65
    assert done.stderr.startswith("koboshi: there is no part zookeeper: choose from kafka")
    assert stack_project.run("logs", "zookeeper", check=False).returncode == 65
