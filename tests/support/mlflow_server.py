"""A tracking server of a test's own, which stays away for as long as the test likes; and a proxy that loses answers."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from tests.support.running_stack import UNMEASURED, clean_environment

READY_S = 120
HOST = "127.0.0.1"


class MlflowServer:
    """`mlflow server` on SQLite and local files, in a folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.uri = f"http://{HOST}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {"host": HOST, "port": str(self.port), "workers": "1"}
        options |= {"backend-store-uri": f"sqlite:///{self.folder / 'mlflow.db'}"}
        options |= {"artifacts-destination": str(self.folder / "artifacts")}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *words],
                cwd=self.folder,
                env=clean_environment(
                    MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true", **UNMEASURED
                ),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "MLflow does not answer"
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.uri}/health", timeout=5).ok
        except requests.RequestException:
            return False


@contextmanager
def losing_proxy(port: int) -> Iterator["LosingProxy"]:
    """A proxy before a server on this machine, while the block runs."""
    proxy = LosingProxy(port)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class LosingProxy(ThreadingHTTPServer):
    """Hands on every request, and each answer but the first one to every path that ends with a word of `lose`.

    Such a connection ends without an answer, as when the server dies right after it has done what it was asked for.
    `seen` are the requests that have reached the server, each as method and path.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((HOST, 0), _Handler)
        self.target, self.uri = port, f"http://{HOST}:{self.server_port}"
        self.lose: set[str] = set()
        self.seen: list[str] = []

    def loses(self, path: str) -> bool:
        word = next((word for word in self.lose if path.endswith(word)), None)
        if word is not None:
            self.lose.remove(word)
        return word is not None


class _Handler(BaseHTTPRequestHandler):
    server: LosingProxy
    protocol_version = "HTTP/1.1"

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        far = http.client.HTTPConnection(HOST, self.server.target, timeout=60)
        headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
        far.request(self.command, self.path, body, headers)
        answer = far.getresponse()
        data = answer.read()
        far.close()
        path = self.path.partition("?")[0]
        self.server.seen.append(f"{self.command} {path}")
        if self.server.loses(path):
            self.close_connection = True
            return
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
