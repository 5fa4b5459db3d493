"""Every kind of client asks this machine directly, and other addresses through the proxy that the environment names."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.exceptions import MlflowException

from koboshi.drills.kit.aiohttp_load import Load, Questions
from koboshi.drills.tracking.tracker_witness import TrackerWitness
from koboshi.drills.training.witnesses import RayWitness
from koboshi.errors import KoboshiError
from koboshi.orchestration.airflow_client import AirflowClient, Run
from koboshi.orchestration.gateway_answers import wait_until_served
from koboshi.probes.gateway_probe import probe_gateway
from koboshi.probes.http_json import call
from koboshi.registry.mlflow_connection import connect
from koboshi.serving.mlflow_reader import MlflowReader
from koboshi.stack.parts.ray import training_worker
from koboshi.training.on_ray.ray_submit import RayJobs

ELSEWHERE = "http://elsewhere.test:1"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ANSWER = {"access_token": "t", "state": "running", "predictions": [1], "experiments": [{"experiment_id": "1"}]}


class Server(ThreadingHTTPServer):
    """Answers each request with one status, and keeps what it was asked for; a proxy is asked for a whole address."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.asked, self.url = status, list[str](), f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)
        body = json.dumps(ANSWER).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_CONNECT = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(status: int) -> Iterator[Server]:
    with Server(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A real proxy that refuses everything, named in every spelling; nothing is excepted from it."""
    with serving(403) as server:
        for name in PROXIES:
            monkeypatch.setenv(name, server.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")  # so that it is put back, whatever a client sets
            monkeypatch.delenv(name)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield server


def load(url: str) -> None:
    asked = Load(url, Questions([b"{}"], {}), rate=20)
    asked.start()
    deadline = time.monotonic() + 20
    while not asked.answers and time.monotonic() < deadline:
        time.sleep(0.01)
    asked.stop()


def airflow(url: str) -> None:
    with closing(AirflowClient(url, "admin", "", tries=1)) as client:
        client.state(Run("dag", "run"))


CLIENTS: dict[str, Callable[[str], object]] = {
    "probes": call,
    "the gateway's probe": lambda url: probe_gateway(url, lambda _model, _version: {}, lambda: True),
    "the workers to kill": lambda url: training_worker(url, None),
    "Ray's jobs": lambda url: RayJobs(url).find("job"),
    "Airflow": airflow,
    "the gateway's answers": lambda url: wait_until_served(url, 1, within_s=0, on_line=lambda _: None),
    "a replica's registry": lambda url: MlflowReader(url, "m", "champion").look(),
    "MLflow's own client": lambda url: connect(url).search_registered_models(),
    "a drill's load": load,
    "a drill's look at Ray": lambda url: RayWitness(url, None).nodes(),
    "a drill's clearing up in MLflow": lambda url: TrackerWitness(url, "e").remove(),
}


def ask(client: str, url: str) -> None:
    with suppress(KoboshiError, MlflowException, KeyError):  # what the answer is worth is no matter here
        CLIENTS[client](url)


@pytest.mark.parametrize("client", CLIENTS)
def test_this_machine_is_asked_directly_and_others_through_the_proxy(client: str, proxy: Server) -> None:
    """Also in a process that has not gone through koboshi's command line, as where the library is used."""
    with serving(200) as part:
        ask(client, part.url)
        assert part.asked
        assert proxy.asked == []
    ask(client, ELSEWHERE)
    assert proxy.asked
    assert {path.partition("/")[0] for path in proxy.asked} == {"http:"}
