"""A probe answers with what it saw, never with an exception."""

import datetime
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.airflow_probe import probe_airflow, stale_programs
from koboshi.probes.gateway_probe import described, probe_gateway, probe_replica
from koboshi.probes.http_json import call
from koboshi.probes.mlflow_probe import aliased_version, example_of, probe_mlflow
from koboshi.probes.ray_probe import client_environment, probe_ray_head

Answers = Callable[[str, bytes], tuple[int, object]]
CLOSED = "http://127.0.0.1:9"


@contextmanager
def server(answers: Answers) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answers(self.path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()


def beats(at: datetime.datetime) -> dict[str, dict[str, str]]:
    return {name: {f"latest_{name}_heartbeat": at.isoformat()} for name in ("scheduler", "dag_processor", "triggerer")}


def test_a_scheduler_without_a_fresh_heartbeat_is_not_healthy() -> None:
    """Its API may answer all the same."""
    now = datetime.datetime.now(datetime.UTC)
    assert stale_programs(beats(now), now) == []
    state = {**beats(now), "scheduler": beats(now - datetime.timedelta(seconds=31))["scheduler"], "triggerer": {}}
    assert stale_programs(state, now) == ["scheduler", "triggerer"]


def test_airflow_is_healthy_when_tasks_can_begin() -> None:
    """The execution API is asked too: its first answer after a start takes seconds."""
    now = datetime.datetime.now(datetime.UTC)
    asked: list[str] = []

    def answers(path: str, _body: bytes) -> tuple[int, object]:
        asked.append(path)
        return 200, beats(now)

    with server(answers) as url:
        assert probe_airflow(url).ok
    assert asked == ["/api/v2/monitor/health", "/execution/health"]
    with server(lambda *_: (200, beats(now - datetime.timedelta(hours=1)))) as url:
        assert "no fresh heartbeat of scheduler" in probe_airflow(url).detail


@pytest.mark.parametrize("probe", [probe_airflow, probe_mlflow, probe_replica, lambda url: gateway(url)])
def test_a_closed_port_is_a_reason_not_an_exception(probe: Callable[[str], object]) -> None:
    """Every probe, whatever is there."""
    health = probe(CLOSED)
    assert not health.ok  # type: ignore[attr-defined]
    assert "refused" in health.detail  # type: ignore[attr-defined]


def gateway(url: str, example: object = None, *, promoted: bool = False) -> Health:
    return probe_gateway(url, lambda _model, _version: example, lambda: promoted)


SERVES = {"slot": "champion", "model": "m", "version": 1, "refused": None, "registry": "reachable"}
REFUSES = {"version": 2, "reason": "version 2 has no recorded digest"}


def test_a_gateway_that_no_replica_stands_behind_is_well_while_nothing_was_promoted() -> None:
    """That is no failure of the gateway; with a champion, the same answer is."""
    with server(lambda *_: (503, {"message": "no replica"})) as url:
        assert gateway(url).detail == "no model yet (the gateway answers 503)"
        assert not gateway(url, promoted=True).ok


def test_a_gateway_is_asked_what_the_version_that_answers_can_answer() -> None:
    """The alias may point elsewhere; without an example a replica predicts its own."""
    asked: list[tuple[str, bytes]] = []

    def answers(path: str, body: bytes) -> tuple[int, object]:
        asked.append((path, body))
        return 200, {"predictions": [0.5]} if path == "/invocations" else {**SERVES, "refused": REFUSES}

    with server(answers) as url:
        health = probe_gateway(url, lambda model, version: {"inputs": [model, version]}, lambda: True)
        assert health.ok
        assert health.detail.endswith("ms, serves version 1, refuses version 2")
        assert asked == [("/version", b""), ("/invocations", b'{"inputs": ["m", 1]}')]
        assert "own example" in gateway(url, None).detail
        assert asked[-1] == ("/health", b"")


@pytest.mark.parametrize(
    ("state", "ok", "detail"),
    [
        ({}, True, "no model yet"),
        ({"refused": REFUSES}, False, "nothing is served: version 2 is refused: version 2 has no recorded digest"),
        ({"registry": "MLflow does not answer"}, False, "nothing is served: MLflow does not answer"),
    ],
)
def test_replicas_that_serve_nothing_are_well_only_while_there_is_nothing_to_serve(
    state: dict[str, object], ok: bool, detail: str
) -> None:
    """Seen through the gateway and directly alike; a version that is refused is not "no model yet"."""
    nothing = {**SERVES, "model": None, "version": None, **state}
    with server(lambda path, _: (503, {}) if path == "/health" else (200, nothing)) as url:
        assert gateway(url, promoted=True) == probe_replica(url) == Health(ok, detail)


def test_what_is_refused_or_gone_is_said_beside_what_is_served() -> None:
    """Health is of what is served; replicas of an older koboshi say less."""
    state = {**SERVES, "refused": REFUSES, "alias_gone": True}
    assert described(state) == "serves version 1, refuses version 2, the alias champion is gone"
    with server(lambda *_: (200, state)) as url:
        assert probe_replica(url) == Health(True, described(state))
    assert described({"version": 1}) == "serves version 1"


def test_a_replica_is_ready_waiting_for_a_model_or_ill() -> None:
    """A refused version is not "no model yet"."""
    state = {"version": None, "refused": None, "registry": "reachable"}

    def answers(path: str, _body: bytes) -> tuple[int, object]:
        return (503, {"message": "not ready"}) if path == "/health" else (200, state)

    with server(answers) as url:
        assert probe_replica(url).detail == "no model yet"
        state["refused"] = {"version": 3, "reason": "its bytes are others"}  # type: ignore[assignment]
        assert not probe_replica(url).ok
    with server(lambda *_: (200, {"version": 7})) as url:
        assert probe_replica(url).detail == "serves version 7"


def test_mlflow_must_give_back_what_was_written() -> None:
    """A server that forgets is not healthy, though each call answers 200."""
    written: dict[str, object] = {}

    def answers(path: str, body: bytes, *, forget: bool = False) -> tuple[int, object]:
        if "get-by-name" in path:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        if path.endswith("experiments/create"):
            return 200, {"experiment_id": "1"}
        if path.endswith("runs/create"):
            return 200, {"run": {"info": {"run_id": "r"}}}
        if path.endswith("set-tag") and not forget:
            written.update({key: value for key, value in json.loads(body).items() if key != "run_id"})
        return 200, {"run": {"data": {"tags": [written] if written else []}}}

    with server(answers) as url:
        assert probe_mlflow(url).ok
    written.clear()
    with server(lambda path, body: answers(path, body, forget=True)) as url:
        assert "does not have the tag" in probe_mlflow(url).detail


@pytest.mark.parametrize("status", [400, 404])
def test_an_alias_that_is_not_there_is_none_and_an_error_is_no_absence(status: int) -> None:
    """Else a failing registry would be reported as "no model yet"."""
    with server(lambda *_: (status, {})) as url:
        assert aliased_version(url, "m", "champion") is None
        assert example_of(url, "m", 1) is None
    with server(lambda *_: (500, {})) as url:
        with pytest.raises(Unavailable, match="answers 500"):
            aliased_version(url, "m", "champion")
        assert example_of(url, "m", 1) is None


def test_an_answer_that_is_not_json_is_unavailable() -> None:
    """Whoever sits on that port, it is not ours."""
    with pytest.raises(Unavailable, match="does not answer"):
        call(CLOSED)


@pytest.mark.parametrize("spoken", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"", b"no HTTP\r\n\r\n"])
def test_a_server_that_is_killed_while_it_answers_is_unavailable(spoken: bytes) -> None:
    """Half a body, no answer at all, and something that is no answer: an error of ours, not of the library's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(spoken)

        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for _ in range(2):
            threading.Thread(target=answer).start()
        with pytest.raises(Unavailable, match="does not answer"):
            call(url)
        assert not gateway(url).ok


ODD = [None, [], {}, 1, "x", [[]], {"version": []}, {"scheduler": []}, {"scheduler": {"latest_scheduler_heartbeat": 1}}]
ODD += [{"scheduler": {"latest_scheduler_heartbeat": moment}} for moment in ("soon", "2018-07-25T00:00:00")]
ODD += [{"experiment": {"experiment_id": "1"}, "runs": runs, "run": []} for runs in (1, [], [1], [{"info": None}])]


@pytest.mark.parametrize("answer", ODD, ids=repr)
def test_json_of_another_shape_is_a_reason_not_an_exception(answer: object) -> None:
    """Something else may listen at a part's address, and answers 200 to everything."""
    with server(lambda *_: (200, answer)) as url:
        healths = [probe_airflow(url), probe_mlflow(url), probe_replica(url), gateway(url), probe_ray_head(url, None)]
        with suppress(Unavailable):
            aliased_version(url, "m", "champion")
        assert example_of(url, "m", 1) is None
    assert not any(health.ok for health in healths[:2])
    assert all(health.detail for health in healths)


def test_a_driver_gets_the_token_and_leaves_the_loopback_address_alone() -> None:
    """A remote cluster's address is left to Ray."""
    local = client_environment("127.0.0.1:1", Path("/t"))
    assert local["RAY_AUTH_TOKEN_PATH"] == str(Path("/t"))
    assert local["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert client_environment("head:6379", None) == {"RAY_USAGE_STATS_ENABLED": "0"}
