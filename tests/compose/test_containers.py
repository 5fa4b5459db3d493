"""The stack in containers, really: from a stream to answers, kills under load, down, and up again.

In this order, each test goes on from where the one before has left the stack.
"""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from koboshi.orchestration.airflow_client import AirflowClient, Run, connect
from koboshi.probes.http_json import call
from koboshi.probes.mlflow_probe import aliased_version, example_of
from koboshi.project.dag_runs import run_dag
from tests.support.compose_stack import ComposeStack, until
from tests.support.docker_daemon import Docker
from tests.support.steady_load import SteadyLoad

pytestmark = pytest.mark.timeout(2400)

WORKER = "airflow-scheduler"  # where tasks run, and with them any verb
DAGS = ("ingest", "train", "promote")
ASK = (
    "from koboshi.project.asking import compared_answers; from koboshi.project.project import load_project; "
    "from koboshi.settings import load_settings; s = load_settings(); p = load_project(s.project, s.pipeline.module); "
    "print(compared_answers(s, p, p.training))"
)
COUNT = (
    "import dataclasses, json; from koboshi.project.counting import count; from koboshi.settings import load_settings; "
    "print(json.dumps(dataclasses.asdict(count(load_settings()))))"
)
Say = Callable[[str], None]


def test_every_service_becomes_healthy(stack: ComposeStack, say: Say) -> None:
    """Each after real work of its own; only what a person opens is published, and on 127.0.0.1."""
    say(f"up: every service healthy after {stack.up():.0f} s")
    memory = stack.memory_mb()
    say(f"memory {sum(memory.values()) / 1024:.1f} GiB: {', '.join(f'{k} {v:.0f}' for k, v in memory.items())} MiB")
    published = stack.docker.run("ps", *stack.own, "--format", "{{.Ports}}")
    assert published.count("->") == 4
    assert published.count("127.0.0.1:") == 4


def test_nothing_runs_as_root(stack: ComposeStack) -> None:
    """A program that is taken over can change nothing of its image's system."""
    assert stack.execute("gateway", "id", "-u").strip() == "1000"


def test_the_flow_goes_from_stream_to_answers(stack: ComposeStack, say: Say) -> None:
    """The demo's flow by the DAGs, triggered from this machine; each answer is the champion's own (I7)."""
    say(stack.execute(WORKER, "koboshi", "stream", "simulate").strip().splitlines()[-1])
    run = None
    with airflow(stack) as client:
        for dag in DAGS:
            begun = time.monotonic()
            run = run_dag(client, dag, "compose-test", run)
            say(f"DAG {dag}: success in {time.monotonic() - begun:.0f} s")
    say(stack.execute(WORKER, "python", "-c", ASK).strip())
    stack.wait_until_healthy()


def airflow(stack: ComposeStack) -> closing[AirflowClient]:
    return closing(connect(stack.url("AIRFLOW"), "admin", stack.passwords_file()))


def question(stack: ComposeStack) -> object:
    version = aliased_version(stack.url("MLFLOW"), "card-fraud", "champion")
    assert version is not None
    example = example_of(stack.url("MLFLOW"), "card-fraud", version)
    assert example is not None
    return example


def test_a_killed_replica_fails_no_prediction(stack: ComposeStack, say: Say) -> None:
    """I7. `docker kill` is a person's wish, so a person starts it again; what dies by itself, Docker starts again."""
    with SteadyLoad(stack.url("GATEWAY"), question(stack)) as load:
        assert set(load.shares(5)) == {"replica-1", "replica-2", "replica-3"}
        stack.docker.run("kill", stack.container_id("replica-2"))
        assert set(load.shares(5)) == {"replica-1", "replica-3"}
        stack.docker.run("start", stack.container_id("replica-2"))
        until(lambda: "replica-2" in load.shares(2), 120, lambda: f"replica-2 answers nothing: {load.replicas}")
        die(stack, "replica-3")
        until(lambda: stack.containers()["replica-3"].restarts == 1, 60, lambda: "replica-3 was not started again")
        until(lambda: "replica-3" in load.shares(2), 120, lambda: f"replica-3 answers nothing: {load.replicas}")
    assert load.failures == []
    say(f"replicas killed: {load.answered} predictions, none failed, the slowest {load.slowest_s * 1000:.0f} ms")
    stack.wait_until_healthy()


def die(stack: ComposeStack, service: str) -> None:
    """Every process of a container but its first is sent SIGKILL, from inside: an accident, not a person's wish."""
    stack.compose("exec", "-T", service, "sh", "-c", "kill -KILL -1", check=False)


def test_a_killed_ray_node_fails_no_training_and_no_prediction(stack: ComposeStack, say: Say) -> None:
    """I5. The units go on on the other node; the experiment ends green while the champion answers."""
    with airflow(stack) as client, SteadyLoad(stack.url("GATEWAY"), question(stack)) as load:
        run = client.trigger(Run("train", "compose-test-killed"), {"train.seed": 11})
        until(lambda: trains_on(stack, "ray-node-1"), 300, lambda: "nothing is trained on ray-node-1", every_s=0.2)
        stack.docker.run("kill", stack.container_id("ray-node-1"))
        say("ray-node-1 was killed while an actor of the training was on it")
        outcome = client.follow(run, within_s=600)
        assert outcome.state == "success", outcome
        stack.docker.run("start", stack.container_id("ray-node-1"))
        die(stack, "ray-node-2")
        stack.wait_until_healthy()
        assert stack.containers()["ray-node-2"].restarts >= 1
    assert load.failures == []
    say(f"ray nodes killed: the training ended well; {load.answered} predictions, none failed")


def trains_on(stack: ComposeStack, node: str) -> bool:
    """Whether an actor of a training is alive on a node."""
    states = f"{stack.url('RAY')}/api/v0"
    query = "detail=1&limit=1000&filter_keys=state&filter_predicates=%3D&filter_values=ALIVE"
    found = {
        kind: call(f"{states}/{kind}?{query}", headers=stack.ray_headers(), limit_s=20)["data"]["result"]["result"]
        for kind in ("nodes", "actors")
    }
    ids = {n["node_id"] for n in found["nodes"] if n["node_name"] == node}
    return any(a["node_id"] in ids and str(a["name"]).startswith("koboshi-") for a in found["actors"])


def test_down_and_up_again_everything_is_still_there(stack: ComposeStack, say: Say) -> None:
    """The champion answers, the audit is equal, DVC has nothing to do, and nothing is counted that was not before."""
    before = counts(stack)
    begun = time.monotonic()
    stack.compose("down", timeout_s=300)
    assert stack.containers() == {}
    say(f"down in {time.monotonic() - begun:.0f} s")
    say(f"up again: every service healthy after {stack.up():.0f} s")
    say(stack.execute(WORKER, "python", "-c", ASK).strip())
    say(stack.execute(WORKER, "koboshi", "ingest", "audit").strip().splitlines()[-1])
    assert "up to date" in stack.compose("exec", "-T", "-w", "/project", WORKER, "dvc", "repro")
    assert counts(stack) == before
    say(f"still there: {before}")


def counts(stack: ComposeStack) -> dict[str, int]:
    found: dict[str, int] = json.loads(stack.execute(WORKER, "python", "-c", COUNT).strip().splitlines()[-1])
    return found


def test_a_change_of_the_source_installs_nothing_again(
    docker: Docker, image: str, build: Callable[[Path, str], None], source: Path, tmp_path: Path, say: Say
) -> None:
    """Only the layers of the project itself are new."""
    shutil.copytree(source, tmp_path / "source")
    with (tmp_path / "source" / "src" / "koboshi" / "journal.py").open("a") as file:
        file.write("\n# changed\n")
    begun = time.monotonic()
    build(tmp_path / "source", f"{image}:changed")
    say(f"built again after a change of the source in {time.monotonic() - begun:.0f} s")
    layers = [json.loads(docker.run("image", "inspect", "-f", "{{json .RootFS.Layers}}", tag)) for tag in TAGS]
    docker.run("image", "rm", TAGS[1])
    same = sum(old == new for old, new in zip(*layers, strict=True))
    assert len(layers[0]) - same == 2


TAGS = ("koboshi-test", "koboshi-test:changed")
