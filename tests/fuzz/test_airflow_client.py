"""Whatever Airflow's address answers, and whatever is asked of it: a value or an error of koboshi's, nothing else."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stamina
from hypothesis import example, given
from hypothesis import strategies as st

from koboshi.errors import BadInput, KoboshiError, NotConfigured, Permanent, Unavailable
from koboshi.orchestration import airflow_answers as answers
from koboshi.orchestration.airflow_answers import Run, TaskState, Try
from koboshi.orchestration.airflow_client import AirflowClient, encoded
from tests.support.fuzzing import drawn, fuzzed, some_text

# Right answers, whose values are then replaced, left out, cut off and flipped: what is nearly right goes deepest.
MOMENT = "2018-07-25T00:00:03.500Z"
TASK = {"task_id": "a", "state": "failed", "try_number": 1, "duration": 1.5, "pid": 7}
TASK |= {"start_date": MOMENT, "end_date": None}
MADE = {"created_dagruns": [{"dag_id": "promote", "run_id": "r"}]}
RIGHT: list[Any] = [
    {"access_token": "t", "is_paused": False, "state": "running", "detail": "x"},
    {"task_instances": [TASK, TASK]},
    {"content": [{"event": "x"}, "y"]},
    {"asset_events": [MADE], "state": "success", "note": "mine"},
]
VALUES = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    "é",
    "\ud800",
    "a\nb",
    MOMENT,
    "0001-01-01T00:00:00+14:00",
]
VALUES += ["9999-12-31T23:59:59-14:00", "2018-07-25", [], {}, [[]], [{}], {"": ""}, 10**18]
ODD = [b"", b"<html><title>Sign in</title></html>", b"[" * 1_000, b'{"a":' * 1_000, b"\xff\xfe{}", b"null", b"NaN"]
SEEDS = st.integers(0, 2**64)


def odd_body(seed: int) -> bytes:
    """A body that is nearly right, or not at all, by a seed."""
    draw = random.Random(seed)
    if draw.random() < 0.1:
        return draw.choice([*ODD, draw.randbytes(draw.randrange(20))])
    body = json.dumps(changed(draw.choice(RIGHT), draw)).encode()
    if draw.random() < 0.2:
        return body[: draw.randrange(len(body))]
    if draw.random() < 0.2:
        at = draw.randrange(len(body))
        return body[:at] + bytes([body[at] ^ 1 << draw.randrange(8)]) + body[at + 1 :]
    return body


def changed(value: Any, draw: random.Random) -> Any:
    """The value with some of what is in it replaced or left out."""
    if draw.random() < 0.08:
        return draw.choice(VALUES)
    if isinstance(value, dict):
        return {name: changed(inner, draw) for name, inner in value.items() if draw.random() > 0.04}
    return [changed(inner, draw) for inner in value] if isinstance(value, list) else value


BODIES = SEEDS.map(odd_body)
STATUSES = [200, 200, 200, 201, 204, 206, 301, 307, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503]
NAMES = [".", "..", "a/b", "a%2Fb", "é", "a?b#c", " ", "\ud800"]
HEADERS = {"location": "/elsewhere", "content-type": "text/html; charset=nix"}
READERS: list[tuple[Callable[[bytes], Any], Any]] = [
    (answers.read_token, str),
    (answers.read_paused, bool),
    (answers.read_state, str),
    (answers.read_tasks, list),
    (answers.read_tries, list),
    (answers.read_log, list),
    (answers.read_started, list | None),
    (answers.said, str),
]
CALLS: list[Callable[[AirflowClient, Run, str], Any]] = [
    lambda airflow, run, _: airflow.wait_for_dag(run.dag_id, within_s=0),
    lambda airflow, run, _: airflow.trigger(run, {"a": 1}),
    lambda airflow, run, _: airflow.follow(run, within_s=0),
    lambda airflow, run, _: airflow.state(run),
    lambda airflow, run, _: airflow.tasks(run),
    lambda airflow, run, task: airflow.tries(run, task),
    lambda airflow, run, _: airflow.note(run),
    lambda airflow, run, task: airflow.annotate(run, task),
    lambda airflow, run, _: airflow.forget(run),
    lambda airflow, run, task: airflow.log(run, task, 1),
    lambda airflow, run, _: airflow.started_by(run),
]


def some_login(draw: random.Random) -> bytes:
    """A token, in half of the cases."""
    return b'{"access_token": "t"}' if draw.random() < 0.5 else odd_body(draw.getrandbits(64))


def some_names(draw: random.Random) -> tuple[str, ...]:
    """Of a DAG, a run and a task."""
    return tuple(draw.choice(NAMES) if draw.random() < 0.5 else some_text(draw, 12, surrogates=True) for _ in range(3))


@pytest.fixture(autouse=True, scope="module")
def asking_once() -> Iterator[None]:
    """A case takes one try, without a wait."""
    with stamina.set_testing(True, attempts=1):
        yield


@fuzzed
@given(BODIES)
@example(json.dumps({"task_instances": [{"start_date": "0001-01-01T00:00:00+14:00"}]}).encode())
def test_a_reader_gives_a_value_of_its_kind_or_an_error_with_a_word(body: bytes) -> None:
    """Any bytes: HTML, nothing, half of it, other types, brackets without end."""
    for read, kind in READERS:
        try:
            found = read(body)
        except (Permanent, Unavailable) as error:
            found, kind = str(error), str
        assert isinstance(found, kind)
        assert len(str(found)) < 10_000


@given(
    name=st.text(min_size=1),
    state=st.none() | st.text(),
    number=st.integers(0, 99),
    seconds=st.none() | st.floats(0, 1e6),
    moment=st.sampled_from([None, MOMENT]),
)
def test_what_airflow_does_answer_is_read(name: str, state: str, number: int, seconds: float, moment: str) -> None:
    """Strictness takes nothing away from a right answer."""
    task = {"task_id": name, "state": state, "try_number": number, "duration": seconds, "map_index": -1}
    assert answers.read_tasks(json.dumps({"task_instances": [task]}).encode()) == [
        TaskState(name, state, number, seconds)
    ]
    row = {"try_number": number, "state": state, "pid": number, "start_date": moment, "end_date": None}
    at = None if moment is None else 1532476803.5
    assert answers.read_tries(json.dumps({"task_instances": [row]}).encode()) == [Try(number, state, number, at, None)]


@fuzzed
@given(
    call=st.sampled_from(CALLS),
    login=drawn(some_login),
    status=st.sampled_from(STATUSES),
    body=BODIES,
    names=drawn(some_names),
)
def test_a_call_ends_in_a_value_or_in_an_error_of_ours(
    call: Callable[[AirflowClient, Run, str], Any],
    login: bytes,
    status: int,
    body: bytes,
    names: tuple[str, ...],
) -> None:
    """Any status, headers and body, any names; and nothing but the run's own address is asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, content=login)
        asked.append(request)
        return httpx.Response(status, headers=HEADERS, content=body)

    airflow = AirflowClient("http://here", "admin", "x", tries=1, transport=httpx.MockTransport(answer))
    dag_id, run_id, task = names
    with suppress(KoboshiError):
        call(airflow, Run(dag_id, run_id), task)
    airflow.close()
    for request in asked:
        path = request.url.raw_path.decode()
        assert path.startswith(("/api/v2/dags/", "/api/v2/assets/events?"))
        assert ".." not in path.split("/")


@fuzzed
@given(SEEDS)
def test_parameters_arrive_as_they_are_or_are_refused(seed: int) -> None:
    """NaN, half a character and what is not JSON are refused before anything is sent."""
    draw = random.Random(seed)
    conf = {"value": changed(draw.choice(RIGHT), draw), "other": draw.choice([*VALUES, object(), {1}, {(1, 2): 3}])}
    try:
        sent = encoded(conf)
    except BadInput:
        return
    assert sent is not None
    assert json.loads(sent) == conf


@pytest.mark.parametrize("where", ["", "here:80", "http://[::1", "ftp://here"])
def test_an_address_that_is_none_is_a_setting_that_is_wrong(where: str) -> None:
    """It names the setting."""
    with pytest.raises(NotConfigured, match=r"airflow\.base_url"), closing(AirflowClient(where, "a", "x")) as airflow:
        airflow.state(Run("a", "b"))


RAW = {
    "a proxy's page": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", Unavailable),
    "half a body": (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access', Unavailable),
    "no HTTP": (b"hello\r\n\r\n", Unavailable),
    "nothing": (b"", Unavailable),
    "no gzip": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno", Unavailable),
    "sent on": (b"HTTP/1.1 302 Found\r\nLocation: https://there/\r\nContent-Length: 0\r\n\r\n", NotConfigured),
    "other JSON": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", Permanent),
    "a token that fits no header": (
        b'HTTP/1.1 201 Created\r\nContent-Length: 23\r\n\r\n{"access_token":"a\\nb"}',
        Permanent,
    ),
}


@pytest.mark.parametrize("what", RAW)
def test_a_real_answer_that_is_no_answer(what: str) -> None:
    """The same over a real connection, where the library itself may fail: one sentence, with the address."""
    spoken, kind = RAW[what]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.wfile.write(spoken)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        where = f"http://127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(kind, match=where), closing(AirflowClient(where, "admin", "x")) as airflow:
                airflow.state(Run("a", "b"))
        finally:
            server.shutdown()
            thread.join()
