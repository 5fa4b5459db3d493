"""Three replicas and the gateway, for real: killed, stopped, spoilt, moved on. They follow a slot of their own."""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient

from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training, recorded_model
from tests.support.artefacts import flip_a_byte
from tests.support.models import fitted, rows, unit_record
from tests.support.running_stack import KOBOSHI, UNMEASURED, clean_environment

pytestmark = [pytest.mark.parts, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL, SLOT = "replica-test", "trial"
REPLICAS = ("replica-1", "replica-2", "replica-3")
SEEDS = {1: 0, 2: 1, 3: 2}
CLIENTS = 8


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _poll(question, within_s, what):
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {within_s} s")


class Fleet:
    """The processes of this module, by name."""

    def __init__(self, folder, tracking_uri):
        self.folder, self.tracking_uri = folder, tracking_uri
        self.ports = {name: _free_port() for name in (*REPLICAS, "gateway", "admin")}
        self.processes = {}
        (folder / "koboshi.toml").write_text("")

    def start_replica(self, name):
        environment = clean_environment(
            KOBOSHI_MLFLOW__TRACKING_URI=self.tracking_uri,
            KOBOSHI_SERVING__MODEL=MODEL,
            OMP_NUM_THREADS="1",
            **UNMEASURED,  # the replicas of the shared stack are measured
        )
        words = [KOBOSHI, "serve", "--slot", SLOT, "--port", str(self.ports[name]), "--name", name]
        self._start(name, words, environment)

    def start_gateway(self):
        config = self.folder / "envoy.yaml"
        config.write_text(
            ENVOY.render(Front(self.ports["gateway"], self.ports["admin"], {n: self.ports[n] for n in REPLICAS}))
        )
        words = [Path(sys.executable).with_name("envoy"), "-c", config, "--concurrency", "1", "--disable-hot-restart"]
        self._start("gateway", [*words, "--log-level", "warning"], clean_environment())

    def url(self, name, path):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def version(self, name):
        try:
            return requests.get(self.url(name, "/version"), timeout=5).json()
        except requests.RequestException:
            return {}

    def wait_for_all(self, condition, what, within_s=240):
        for name in REPLICAS:
            _poll(lambda name=name: condition(self.version(name)), within_s, f"{name}: {what}")

    def wait_for_hosts(self, healthy, within_s=240):
        """Until the gateway itself counts so many healthy replicas."""

        def counted():
            try:
                stats = requests.get(self.url("admin", "/stats?filter=membership_healthy"), timeout=5).text
            except requests.RequestException:
                return False
            return int(re.search(r"membership_healthy: (\d+)", stats)[1]) == healthy

        _poll(counted, within_s, f"{healthy} healthy replicas")

    def status(self):
        """`koboshi status --json`, for which gateway and MLflow run elsewhere."""
        environment = clean_environment(
            KOBOSHI_MLFLOW__TRACKING_URI=self.tracking_uri,
            KOBOSHI_GATEWAY__URL=self.url("gateway", ""),
            KOBOSHI_SERVING__MODEL=MODEL,
            **UNMEASURED,
        )
        words = [KOBOSHI, "status", "--json"]
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)

    def stop(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(10)

    def _start(self, name, words, environment):
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                list(map(str, words)), cwd=self.folder, env=environment, stdout=log, stderr=log
            )


@pytest.fixture(scope="module")
def registry(stack_of):
    """Three versions of one model, each from a training of its own."""
    uri = stack_of("mlflow").settings.mlflow.tracking_uri
    registry = MlflowRegistry(uri, MODEL)
    for version, seed in SEEDS.items():
        key = f"{version:064d}"
        record_training(uri, MODEL, key, {}, [unit_record("logistic", seed)])
        ref, _made = registry.register(MODEL, key, "logistic")
        assert ref.version == version
    return registry


@pytest.fixture(scope="module")
def fleet(registry, tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), registry.tracking_uri)
    try:
        for name in REPLICAS:
            fleet.start_replica(name)
        fleet.start_gateway()
        fleet.wait_for_all(lambda version: version.get("registry") == "reachable", "answers")
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture(scope="module")
def served(fleet, registry):
    """The fleet with version 1 in the slot, and every replica healthy."""
    registry.point(SLOT, 1)
    fleet.wait_for_all(lambda version: version.get("version") == 1, "serves version 1")
    fleet.wait_for_hosts(3)
    return fleet


@functools.cache
def _answers(version):
    """What the model itself answers to each row, when it is asked for that row alone."""
    table, predict = rows()[0], fitted("logistic", SEEDS[version]).predict_proba
    return [predict(table.iloc[[at]]).tolist() for at in range(len(table))]


@functools.cache
def _questions():
    """Each row as the body of a request."""
    return [json.dumps({"dataframe_records": [row]}) for row in rows()[0].to_dict("records")]


class Load:
    """Predictions of single rows through the gateway, each compared with the model's own answer, to the bit."""

    def __init__(self, fleet, count, versions=(1,)):
        self._url = fleet.url("gateway", "/invocations")
        self._answers = {str(version): _answers(version) for version in versions}
        self._count, self._sessions = count, threading.local()
        self.done, self.wrong, self.slowest_s = 0, [], 0.0

    def run(self, meanwhile=None, at=0):
        """Answer all; `meanwhile` happens once, in the middle: when `at` predictions were made."""
        begun = time.monotonic()
        # A client runs nothing of ours that coverage could measure: to trace it takes longer than the replicas' work.
        with ThreadPoolExecutor(CLIENTS, initializer=sys.settrace, initargs=(None,)) as clients:
            work = [clients.submit(self._one, number) for number in range(self._count)]
            if meanwhile is not None:
                _poll(lambda: self.done >= at, 60, f"{at} predictions")
                meanwhile()
            for each in work:
                each.result(timeout=120)
        return self._count / (time.monotonic() - begun)

    def _one(self, number):
        row = number % len(_questions())
        begun = time.monotonic()
        answer = self._session().post(self._url, data=_questions()[row], timeout=30)
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        expected = self._answers.get(answer.headers.get("x-koboshi-model-version", ""))
        if answer.status_code != 200 or expected is None or answer.json()["predictions"] != expected[row]:
            self.wrong.append((number, answer.status_code, answer.text[:200]))
        self.done += 1

    def _session(self):
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            self._sessions.session.headers["content-type"] = "application/json"
            self._sessions.session.trust_env = False  # else each request looks for a proxy and a password
        return self._sessions.session


def test_before_anything_is_promoted_both_say_so(fleet):
    """503 with a body that tells a person what is missing, from a replica, and from one through the gateway."""
    direct = requests.post(fleet.url("replica-1", "/invocations"), json={}, timeout=10)
    assert (direct.status_code, direct.json()["error_code"]) == (503, "NO_MODEL")
    assert "nothing has been promoted" in direct.json()["message"]
    fleet.wait_for_hosts(0)
    balanced = requests.post(fleet.url("gateway", "/invocations"), json={}, timeout=10)
    assert balanced.status_code == 503
    assert "nothing has been promoted" in balanced.json()["message"]
    assert balanced.headers["content-type"].startswith("application/json")


def test_two_thousand_predictions_while_a_replica_is_killed(served, record_property):
    """I7: SIGKILL loses no prediction and falsifies none."""
    load = Load(served, 2000)
    rate = load.run(served.processes["replica-2"].kill, at=500)
    record_property("predictions_per_s", round(rate))
    record_property("slowest_s", round(load.slowest_s, 3))
    assert served.processes["replica-2"].wait(10) == -signal.SIGKILL
    assert load.wrong == []
    served.start_replica("replica-2")
    served.wait_for_hosts(3)


def test_predictions_while_a_replica_hangs(served, record_property):
    """I7: a replica that says nothing any more is overtaken by another one."""
    load, hung = Load(served, 300), served.processes["replica-3"].pid
    try:
        load.run(lambda: os.kill(hung, signal.SIGSTOP), at=50)
    finally:
        os.kill(hung, signal.SIGCONT)
    record_property("slowest_s", round(load.slowest_s, 3))
    assert load.wrong == []
    served.wait_for_hosts(3)


def test_a_stopped_replica_drains(served):
    """SIGTERM in the middle of load: every prediction is answered, and the process ends by itself, with 143."""
    load = Load(served, 600)
    load.run(served.processes["replica-1"].terminate, at=50)
    assert load.wrong == []
    assert served.processes["replica-1"].wait(60) == 128 + signal.SIGTERM
    served.start_replica("replica-1")
    served.wait_for_hosts(3)


def test_a_flipped_byte_in_an_artefact_keeps_the_old_version(served, registry, stack_of):
    """I2, I7: every replica refuses the version by name and goes on with the one before."""
    source = registry.source(registry.version(2)).removeprefix("mlflow-artifacts:/")
    flip_a_byte(stack_of("mlflow").project / ".koboshi" / "mlflow" / "artifacts" / source / "model.skops")
    registry.point(SLOT, 2)
    served.wait_for_all(lambda version: (version.get("refused") or {}).get("version") == 2, "refuses version 2")
    load = Load(served, 100)
    load.run()
    assert load.wrong == []
    told = [
        line
        for name in REPLICAS
        for line in served.log(name).splitlines()
        if f"version 2 of slot {SLOT} is refused" in line
    ]
    assert len(told) == len(REPLICAS)
    assert all("digest" in line for line in told)


def test_a_moved_alias_is_followed_under_load(served, registry, record_property):
    """Each answer is right for the version that its header names, before, during and after the change."""
    load = Load(served, 1200, versions=(1, 3))
    moved = time.monotonic()
    load.run(lambda: registry.point(SLOT, 3), at=50)
    served.wait_for_all(lambda version: version.get("version") == 3, "serves version 3")
    record_property("followed_within_s", round(time.monotonic() - moved, 1))
    assert load.wrong == []
    served.wait_for_all(lambda version: version.get("refused") is None, "refuses nothing any more")


def test_an_alias_set_by_hand_to_a_version_without_a_digest_is_seen_and_makes_nobody_ill(served, registry):
    """`koboshi status` says what is served and what is refused, per slot; health is of what is served."""
    registry.point(SLOT, 3)
    served.wait_for_all(lambda version: version.get("version") == 3, "serves version 3")
    good = recorded_model(registry.tracking_uri, MODEL, f"{3:064d}", "logistic")
    make = MlflowClient(registry.tracking_uri).create_model_version
    unknown = int(make(MODEL, good.source, good.run_id, model_id=good.model_id, await_creation_for=0).version)
    registry.point(SLOT, unknown)
    served.wait_for_all(lambda version: (version.get("refused") or {}).get("version") == unknown, "refuses it")
    status = served.status()
    assert status.returncode == 0, status.stdout
    told = json.loads(status.stdout)
    [gateway] = [part for part in told["parts"] if part["name"] == "gateway"]
    assert (gateway["state"], gateway["detail"][-37:]) == ("healthy", f", serves version 3, refuses version {unknown}")
    [slot] = told["slots"]
    assert (slot["slot"], slot["alias"], list(slot["served"])) == (SLOT, unknown, ["3"])
    assert "no recorded digest" in slot["refused"][str(unknown)]


def test_a_replica_that_starts_after_its_alias_was_removed_answers_and_says_so(served, registry):
    """I7: what it served last, from its own disk; no prediction is lost or wrong, and the log names the slot."""
    registry.point(SLOT, 3)
    served.wait_for_all(lambda version: version.get("alias") == 3, "sees the alias")
    MlflowClient(registry.tracking_uri).delete_registered_model_alias(MODEL, SLOT)
    served.processes["replica-1"].kill()
    served.processes["replica-1"].wait(10)
    served.start_replica("replica-1")
    served.wait_for_all(lambda version: version.get("version") == 3 and version["alias_gone"], "goes on")
    served.wait_for_hosts(3)
    load = Load(served, 60, versions=(3,))
    load.run()
    assert load.wrong == []
    assert f"the alias {SLOT} is gone: version 3 goes on answering" in served.log("replica-1")
