"""The load: every request gets an answer that is compared to the bit, and one that fails is told, not hidden."""

import http.server
import json
import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from koboshi.drills.kit.aiohttp_load import Answer, Load, Questions

QUESTIONS = Questions([b"1", b"2"], {"3": [[[0.1]], [[0.2]]]})


class Gateway(http.server.ThreadingHTTPServer):
    """Answers as `answer` says: status, body, version."""

    daemon_threads = True

    def __init__(self, answer: Callable[[int], tuple[int, str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        question = int(self.rfile.read(int(self.headers["content-length"])))
        status, body, version = self.server.answer(question)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in (("x-koboshi-replica", "r"), ("x-koboshi-model-version", version)):
            self.send_header(name, value)
        self.send_header("x-envoy-attempt-count", "2")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> Iterator[Callable[[Callable[[int], tuple[int, str, str]]], list[Answer]]]:
    """`asked(answer)` are the answers of a short load on a gateway that answers so."""
    servers: list[Gateway] = []

    def ask(answer: Callable[[int], tuple[int, str, str]]) -> list[Answer]:
        server = Gateway(answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return run(f"http://127.0.0.1:{server.server_port}")

    yield ask
    for server in servers:
        server.shutdown()
        server.server_close()


def run(url: str) -> list[Answer]:
    load = Load(url, QUESTIONS, rate=500)
    load.start()
    deadline = time.monotonic() + 60
    while len(load.answers) < 10 and time.monotonic() < deadline:
        time.sleep(0.005)
    load.stop()
    return load.answers


def predictions(value: float) -> str:
    return json.dumps({"predictions": [[value]]})


def test_right_answers_are_right_and_say_who_gave_them(asked: Callable[..., list[Answer]]) -> None:
    """Each question has an answer of its own; replica, version, rows and the gateway's tries are kept."""
    answers = asked(lambda question: (200, predictions(question / 10), "3"))
    assert len(answers) >= 10
    assert {(a.status, a.right, a.replica, a.version, a.rows, a.tries) for a in answers} == {
        (200, True, "r", "3", 1, 2)
    }
    assert all(answer.took_s > 0 for answer in answers)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (lambda question: predictions(math.nextafter(question / 10, 1)), "3"),
        (lambda question: predictions(question / 10), "4"),
        (lambda _question: "{}", "3"),
        (lambda _question: "no JSON", "3"),
    ],
)
def test_anything_else_is_wrong(body: Callable[[int], str], version: str, asked: Callable[..., list[Answer]]) -> None:
    """The last bit of a number, another version, a body that holds no predictions: answered, and wrong."""
    answers = asked(lambda question: (200, body(question), version))
    assert {(answer.status, answer.right) for answer in answers} == {(200, False)}


def test_an_error_is_kept_with_what_was_said(asked: Callable[..., list[Answer]]) -> None:
    answers = asked(lambda _question: (503, "nobody", ""))
    assert {(answer.status, answer.right, answer.said) for answer in answers} == {(503, False, "nobody")}


def test_no_answer_is_a_failure_too() -> None:
    """Nobody listens: the load goes on, and each request is told as unanswered."""
    answers = run("http://127.0.0.1:9")
    assert len(answers) >= 10
    assert {(answer.status, answer.right) for answer in answers} == {(0, False)}
    assert "ClientConnectorError" in answers[0].said
