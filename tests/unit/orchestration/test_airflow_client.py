"""The client of Airflow's REST interface, against a small server that answers from a script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from koboshi.errors import BadInput, NotConfigured, Permanent, Unavailable
from koboshi.orchestration import airflow_client
from koboshi.orchestration.airflow_client import AirflowClient, Run, TaskState, Try, connect
from koboshi.orchestration.gateway_answers import wait_until_served
from koboshi.orchestration.run_note import LONGEST, show, with_changes
from koboshi.settings import Airflow

RUN = Run("train", "demo-1")
PATH = "/api/v2/dags/train/dagRuns/demo-1"


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_client, "LOOK_S", 0.001)


class Script:
    """Answers by method and path, the last one again and again, and what was asked."""

    def __init__(self, answers: dict[str, list[tuple[int, Any]]]) -> None:
        self.answers = {"POST /auth/token": [(201, {"access_token": "t1"}), (201, {"access_token": "t2"})], **answers}
        self.asked: list[tuple[str, Any, str | None]] = []
        self.headers: dict[str, str] = {}

    def answer(self, what: str, body: Any, token: str | None) -> tuple[int, Any]:
        """The next answer for this request."""
        self.asked.append((what, body, token))
        left = self.answers.get(what.partition("?")[0], [(404, {"detail": "not found"})])
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def served(script: Script) -> Iterator[str]:
    """The URL of a server that plays the script."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = script.answer(f"{self.command} {self.path}", body, self.headers.get("Authorization"))
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**script.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def client(script: Script) -> Iterator[AirflowClient]:
    """A client of the script, which does not wait between its tries."""
    with served(script) as url, stamina.set_testing(True, attempts=3):
        session = AirflowClient(url, "admin", "secret")
        yield session
        session.close()


def task(name: str, state: str | None, number: int = 1) -> dict[str, Any]:
    """A task as the interface shows it."""
    return {"task_id": name, "state": state, "try_number": number, "duration": 1.5}


def test_a_run_is_triggered_under_our_own_name() -> None:
    """The name makes the POST safe to repeat; logical_date must be there, and may be null."""
    script = Script({"POST /api/v2/dags/train/dagRuns": [(200, {})]})
    with client(script) as airflow:
        assert airflow.trigger(RUN, {"train.rate": 0.2}) == RUN
    body = {"dag_run_id": "demo-1", "logical_date": None, "conf": {"train.rate": 0.2}}
    assert script.asked == [
        ("POST /auth/token", {"username": "admin", "password": "secret"}, None),
        ("POST /api/v2/dags/train/dagRuns", body, "Bearer t1"),
    ]


def test_a_note_is_read_and_written() -> None:
    """A run without one has an empty one."""
    script = Script({f"GET {PATH}": [(200, {"note": None}), (200, {"note": "mine"})], f"PATCH {PATH}": [(200, {})]})
    with client(script) as airflow:
        assert [airflow.note(RUN), airflow.note(RUN)] == ["", "mine"]
        airflow.annotate(RUN, "- train.seed: 0 → 7")
    assert script.asked[-1][:2] == (f"PATCH {PATH}", {"note": "- train.seed: 0 → 7"})


class TestRunNote:
    CHANGES: ClassVar = {"train.seed": "0 → 7", "split.start": "2018-07-25 → 2018-07-26"}
    LINES = "- train.seed: 0 → 7\n- split.start: 2018-07-25 → 2018-07-26"

    def test_it_has_a_line_for_each_changed_value(self) -> None:
        """What a person wrote stays; where the lines are there, and where nothing was changed, nothing is written."""
        assert with_changes("", self.CHANGES) == self.LINES
        assert with_changes("mine\n", self.CHANGES) == f"mine\n\n{self.LINES}"
        assert with_changes(f"mine\n\n{self.LINES}", self.CHANGES) is None
        assert with_changes("mine", {}) is None

    @given(st.text(max_size=1_100), st.dictionaries(st.text(max_size=9), st.text(max_size=90), max_size=40))
    def test_it_is_never_longer_than_airflow_takes_and_is_written_once(
        self, note: str, changes: dict[str, str]
    ) -> None:
        written = with_changes(note, changes)
        if written is not None:
            assert len(written) <= LONGEST
            assert written.startswith(note.rstrip())

    def test_what_has_no_room_is_left_out_and_the_last_line_says_so(self) -> None:
        """And a second task of the run writes nothing more."""
        changes = {f"train.{number}": "x" * 80 for number in range(40)}
        written = with_changes("", changes)
        assert written is not None
        assert written.splitlines()[-1] == "- and more"
        assert with_changes(written, changes) is None
        assert with_changes("x" * 998, changes) is None

    def shown(self, note: str, script: Script, **where: Any) -> list[str]:
        """What is said when the note of a moment ago is this one."""
        said: list[str] = []
        with served(script) as url:
            show(Airflow(**{"base_url": url, **where}), RUN, note, self.CHANGES, said.append)
        return said

    def test_the_first_task_writes_it_and_the_next_ones_ask_nothing(self) -> None:
        script = Script({f"GET {PATH}": [(200, {"note": "mine"})], f"PATCH {PATH}": [(200, {})]})
        assert self.shown("", script) == []
        assert script.asked[-1][:2] == (f"PATCH {PATH}", {"note": f"mine\n\n{self.LINES}"})
        asked = len(script.asked)
        assert self.shown(self.LINES, script) == []
        assert len(script.asked) == asked

    @pytest.mark.parametrize("where", [{}, {"base_url": "http://127.0.0.1:9"}, {"passwords_path": Path("/nowhere")}])
    def test_no_task_fails_for_it(self, where: dict[str, Any]) -> None:
        """Airflow refuses, does not answer, or nobody knows the password: a line in the log."""
        (said,) = self.shown("", Script({f"GET {PATH}": [(403, {"detail": "no"})]}), **where)
        assert said.startswith("the run's note does not tell what was changed: ")

    def test_without_an_address_nothing_is_asked(self) -> None:
        assert self.shown("", Script({}), base_url=None) == []


def test_a_run_of_this_name_is_attached_to() -> None:
    """An answer that got lost, or a second demo: 409 is not an error."""
    with client(Script({"POST /api/v2/dags/train/dagRuns": [(409, {"detail": "exists"})]})) as airflow:
        assert airflow.trigger(RUN) == RUN


@pytest.mark.parametrize("status", [400, 422])
def test_refused_parameters_are_bad_input(status: int) -> None:
    """Airflow's own words are handed on."""
    script = Script({"POST /api/v2/dags/train/dagRuns": [(status, {"detail": "'x' is no number"})]})
    with client(script) as airflow, pytest.raises(BadInput, match="'x' is no number"):
        airflow.trigger(RUN)


def test_a_run_is_followed_task_by_task_to_its_end() -> None:
    """Each change is told once: a new state, or another try."""
    states = [(200, {"state": s}) for s in ("queued", "running", "running", "success")]
    tasks = [
        [task("a", None, 0)],
        [task("a", "running")],
        [task("a", "running", 2), task("b", None, 0)],
        [task("a", "success", 2), task("b", "success")],
    ]
    answers = {f"GET {PATH}": states, f"GET {PATH}/taskInstances": [(200, {"task_instances": t}) for t in tasks]}
    told: list[TaskState] = []
    with client(Script(answers)) as airflow:
        outcome = airflow.follow(RUN, within_s=30, on_change=told.append)
    assert outcome.state == "success"
    assert [(t.task_id, t.state, t.try_number) for t in told] == [
        ("a", None, 0), ("a", "running", 1), ("a", "running", 2), ("b", None, 0),
        ("a", "success", 2), ("b", "success", 1),
    ]  # fmt: skip
    assert outcome.tasks["a"] == TaskState("a", "success", 2, 1.5)


def test_following_has_an_end() -> None:
    """A run that hangs is named."""
    answers = {f"GET {PATH}": [(200, {"state": "running"})]}
    answers[f"GET {PATH}/taskInstances"] = [(200, {"task_instances": []})]
    with client(Script(answers)) as airflow, pytest.raises(Unavailable, match="train demo-1 is still running"):
        airflow.follow(RUN, within_s=0)


def test_a_token_that_is_over_is_renewed() -> None:
    """401 leads to one more login, not to an end."""
    script = Script({f"GET {PATH}": [(401, {"detail": "expired"}), (200, {"state": "success"})]})
    with client(script) as airflow:
        assert airflow.state(RUN) == "success"
    assert [token for _, _, token in script.asked] == [None, "Bearer t1", None, "Bearer t2"]


def test_a_server_that_is_starting_is_asked_again() -> None:
    """503 passes; after some tries it is `Unavailable`."""
    with client(Script({f"GET {PATH}": [(503, {}), (200, {"state": "success"})]})) as airflow:
        assert airflow.state(RUN) == "success"
    with client(Script({f"GET {PATH}": [(503, {})]})) as airflow, pytest.raises(Unavailable, match="answers 503"):
        airflow.state(RUN)


def test_what_asking_again_does_not_change_is_permanent() -> None:
    """A wrong password, an unknown run."""
    script = Script({"POST /auth/token": [(403, {"detail": "wrong"})]})
    with client(script) as airflow, pytest.raises(Permanent, match="answers 403: wrong"):
        airflow.state(RUN)
    assert len(script.asked) == 1


def test_nobody_there_is_unavailable() -> None:
    """One sentence, no trace."""
    with stamina.set_testing(True, attempts=2), pytest.raises(Unavailable, match="does not answer"):
        AirflowClient("http://127.0.0.1:9", "admin", "x").state(RUN)


def test_a_dag_is_waited_for_and_not_left_paused() -> None:
    """Airflow reads the DAG files some seconds after its start."""
    path = "/api/v2/dags/train"
    script = Script({f"GET {path}": [(404, {}), (200, {"is_paused": True})], f"PATCH {path}": [(200, {})]})
    with client(script) as airflow:
        airflow.wait_for_dag("train", within_s=30)
        assert script.asked[-1][:2] == (f"PATCH {path}", {"is_paused": False})
        with pytest.raises(Unavailable, match="does not know the DAG other"):
            airflow.wait_for_dag("other", within_s=0)


def test_runs_that_an_assets_event_started_are_found() -> None:
    """No event, an event whose run is not there yet, a run just being made (Airflow answers 500), the run."""
    made = {"created_dagruns": [{"dag_id": "promote", "run_id": "asset__1"}]}
    pages = [{"asset_events": []}, {"asset_events": [{"created_dagruns": []}]}, None, {"asset_events": [made]}]
    answers = {"GET /api/v2/assets/events": [(200, page) if page else (500, {}) for page in pages]}
    with client(Script(answers)) as airflow:
        found = [airflow.started_by(RUN) for _ in pages]
    assert found == [None, [], [], [Run("promote", "asset__1")]]


def test_a_tasks_log_is_its_events() -> None:
    """A try that has logged nothing yet has an empty log."""
    events = [{"event": "one", "timestamp": "t"}, {"event": "two"}, "three"]
    answers = {f"GET {PATH}/taskInstances/a/logs/1": [(200, {"content": events})]}
    with client(Script(answers)) as airflow:
        assert airflow.log(RUN, "a", 1) == ["one", "two", "three"]
        assert airflow.log(RUN, "a", 2) == []


def test_the_password_comes_from_its_file(tmp_path: Path) -> None:
    """Without the file, the sentence says what to do."""
    with pytest.raises(NotConfigured, match="run `koboshi up`"):
        connect("http://x", "admin", tmp_path / "none")
    (tmp_path / "passwords").write_text('{"admin": "p"}')
    connect("http://x", "admin", tmp_path / "passwords").close()


def test_every_replica_must_have_followed() -> None:
    """The gateway is asked until it answers with the wanted version only, a number of times in a row."""
    lines: list[str] = []
    script = Script({"GET /version": [(200, {})]})
    script.headers = {"x-koboshi-model-version": "4", "x-koboshi-replica": "replica-1"}
    with served(script) as url:
        with pytest.raises(Unavailable, match="answers with 4, not 5"):
            wait_until_served(url, 5, within_s=0, on_line=lines.append)
        assert wait_until_served(url, 4, within_s=10, on_line=lines.append) == {"replica-1": 12}
    assert lines == ["replica-1 answers with version 4"] * 2
    with pytest.raises(Unavailable, match="no version"):
        wait_until_served("http://127.0.0.1:9", 5, within_s=0, on_line=lines.append)


def test_each_try_of_a_task_tells_its_process_and_its_times() -> None:
    """Oldest first, in seconds since 1970; a task that is not there yet has had no try."""
    began, ended = "2018-07-25T00:00:01Z", "2018-07-25T00:00:03.500Z"
    rows = [
        {"try_number": 2, "state": "running", "pid": 12, "start_date": ended, "end_date": None},
        {"try_number": 1, "state": "failed", "pid": 11, "start_date": began, "end_date": ended},
    ]
    script = Script({f"GET {PATH}/taskInstances/train/tries": [(200, {"task_instances": rows})]})
    with client(script) as airflow:
        first, second = airflow.tries(RUN, "train")
        assert airflow.tries(RUN, "nix") == []
    assert first == Try(1, "failed", 11, 1532476801.0, 1532476803.5)
    assert (second.number, second.pid, second.ended_s) == (2, 12, None)


def test_a_run_is_ended_and_forgotten() -> None:
    """What runs is ended first; one that is not there is no error."""
    script = Script({f"PATCH {PATH}": [(200, {})], f"DELETE {PATH}": [(200, None)]})
    with client(script) as airflow:
        airflow.forget(RUN)
        airflow.forget(Run("train", "nix"))
    asked = [(what, body) for what, body, _ in script.asked if "/demo-1" in what]
    assert asked == [(f"PATCH {PATH}", {"state": "failed"}), (f"DELETE {PATH}", None)]
