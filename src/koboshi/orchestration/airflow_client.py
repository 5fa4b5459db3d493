"""Airflow's REST interface (API v2): trigger a run under a name of our own, follow it task by task.

Every call is safe to repeat: a run is named by who asks for it, and a second POST under one name attaches to the first.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import stamina

from koboshi.errors import BadInput, NotConfigured, Permanent, Unavailable
from koboshi.orchestration import airflow_answers as answers
from koboshi.orchestration.airflow_answers import Run, TaskState, Try
from koboshi.proxies import client

__all__ = ["AirflowClient", "Run", "RunOutcome", "TaskState", "Try", "connect"]

_TIMEOUT_S = 30.0  # the first call after a start was seen to take six seconds
LOOK_S = 0.5
_ENDED = frozenset({"success", "failed"})
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: `success` or `failed`, and its tasks by name."""

    run: Run
    state: str
    tasks: Mapping[str, TaskState]


class AirflowClient:
    """One user's session.

    Whatever is answered, it is a value or an error of koboshi's: `Unavailable` when Airflow does not answer within some
    tries, or not with JSON; `BadInput` for what cannot be sent; `NotConfigured` for an address or a login that is
    wrong; `Permanent` for what asking again does not change.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        tries: int = 6,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is sent before the first call. `transport` is the way there, the network unless it is given."""
        with _plainly(base_url):
            self._client = client(base_url, base_url=base_url.rstrip("/"), timeout=_TIMEOUT_S, transport=transport)
        self._where = base_url.rstrip("/")
        self._login = {"username": username, "password": password}
        self._tries = tries

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def wait_for_dag(self, dag_id: str, *, within_s: float) -> None:
        """Wait until Airflow knows the DAG, and see that it is not paused."""
        deadline, path = time.monotonic() + within_s, f"/dags/{_segment(dag_id)}"
        while (paused := self._ask("GET", path, answers.read_paused, accept=(404,))) is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"Airflow does not know the DAG {dag_id} after {within_s:.0f} s: look at its page.")
            time.sleep(LOOK_S)
        if paused:
            self._ask("PATCH", path, answers.read_nothing, body={"is_paused": False})

    def trigger(self, run: Run, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run; one of this name that there is already is the run (409), whoever started it.

        Raises `BadInput` when Airflow refuses the parameters, or when they cannot be sent.
        """
        body = {"dag_run_id": run.run_id, "logical_date": None, "conf": dict(conf or {})}
        path = f"/dags/{_segment(run.dag_id)}/dagRuns"
        answer = self._call("POST", path, answers.read_nothing, body=body, accept=(400, 409, 422))[0]
        if answer.status_code in (400, 422):
            raise BadInput(f"Airflow refuses these parameters of {run.dag_id}: {answers.said(answer.content)}.")
        return run

    def follow(
        self, run: Run, *, within_s: float, on_change: Callable[[TaskState], None] = lambda _: None
    ) -> RunOutcome:
        """Wait for the run's end, telling of each change of a task's state. Raises `Unavailable` after `within_s`."""
        seen: dict[str, TaskState] = {}
        deadline = time.monotonic() + within_s
        while True:
            state = self.state(run)  # asked before the tasks, so that an ended run's tasks are final
            for task in self.tasks(run):
                before = seen.get(task.task_id)
                seen[task.task_id] = task
                if before is None or (before.state, before.try_number) != (task.state, task.try_number):
                    on_change(task)
            if state in _ENDED:
                return RunOutcome(run, state, seen)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{run.dag_id} {run.run_id} is still {state} after {within_s:.0f} s: look at its page."
                )
            time.sleep(LOOK_S)

    def state(self, run: Run) -> str:
        """The run's state."""
        return self._ask("GET", _path(run), answers.read_state) or ""

    def tasks(self, run: Run) -> list[TaskState]:
        """The run's tasks; a mapped one counts as its last."""
        return self._ask("GET", f"{_path(run)}/taskInstances?limit=100", answers.read_tasks) or []

    def tries(self, run: Run, task_id: str) -> list[Try]:
        """Every try of a task so far, oldest first."""
        return self._ask("GET", f"{_path(run, task_id)}/tries", answers.read_tries, accept=(404,)) or []

    def note(self, run: Run) -> str:
        """The note beside a run, which people write, too; empty where there is none."""
        return self._ask("GET", _path(run), answers.read_note) or ""

    def annotate(self, run: Run, note: str) -> None:
        """Put another note in its place. Raises `BadInput` for one that cannot be sent."""
        self._ask("PATCH", _path(run), answers.read_nothing, body={"note": note})

    def forget(self, run: Run) -> None:
        """End a run, if it has not ended, and remove it from Airflow's records; nothing if there is none."""
        self._ask("PATCH", _path(run), answers.read_nothing, body={"state": "failed"}, accept=(404, 409))
        self._ask("DELETE", _path(run), answers.read_nothing, accept=(404, 409))

    def log(self, run: Run, task_id: str, try_number: int) -> list[str]:
        """What a try of a task has logged so far, event by event."""
        return self._ask("GET", f"{_path(run, task_id)}/logs/{try_number}", answers.read_log, accept=(404,)) or []

    def started_by(self, run: Run) -> list[Run] | None:
        """The runs of other DAGs that this run's asset events started; None when it emitted no event."""
        path = f"/assets/events?source_dag_id={_segment(run.dag_id)}&source_run_id={_segment(run.run_id)}"
        # 500: a run that was made this moment has no start date yet
        answer, started = self._call("GET", path, answers.read_started, accept=(500,))
        return started if answer.is_success else []

    def _ask(
        self, method: str, path: str, read: Callable[[bytes], T], *, body: object = None, accept: tuple[int, ...] = ()
    ) -> T | None:
        """What is read of the answer; None where its status is one of `accept`."""
        return self._call(method, path, read, body=body, accept=accept)[1]

    def _call(
        self, method: str, path: str, read: Callable[[bytes], T], *, body: object = None, accept: tuple[int, ...] = ()
    ) -> tuple[httpx.Response, T | None]:
        with _plainly(self._where):
            for attempt in stamina.retry_context(on=_passes, attempts=self._tries, timeout=None, wait_initial=0.5):
                with attempt:
                    answer = self._send(method, path, body)
                    if answer.status_code not in accept:
                        answer.raise_for_status()
                    found = read(answer.content) if answer.is_success else None
        return answer, found

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        if "Authorization" not in self._client.headers:
            answer = self._client.post("/auth/token", json=self._login)
            answer.raise_for_status()
            self._client.headers["Authorization"] = f"Bearer {answers.read_token(answer.content)}"
        answer = self._client.request(method, f"/api/v2{path}", content=encoded(body), headers=_JSON)
        if answer.status_code == 401:  # the token's time is over: the next try gets a new one
            del self._client.headers["Authorization"]
        return answer


def connect(base_url: str, username: str, passwords_path: Path | None, *, tries: int = 6) -> AirflowClient:
    """A client for the user whose password is in the file {"username": "password"}."""
    try:
        password = json.loads(passwords_path.read_text())[username] if passwords_path else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotConfigured(
            f"Airflow's password of {username} is not in {passwords_path}: run `koboshi up`."
        ) from error
    return AirflowClient(base_url, username, str(password), tries=tries)


_JSON = {"Content-Type": "application/json"}


def encoded(body: object) -> bytes | None:
    """A request's body; what has no JSON (NaN, a set, half a character) cannot be sent."""
    try:
        return None if body is None else json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"these parameters cannot be sent to Airflow: {error}.") from error


def _path(run: Run, task_id: str | None = None) -> str:
    task = "" if task_id is None else f"/taskInstances/{_segment(task_id)}"
    return f"/dags/{_segment(run.dag_id)}/dagRuns/{_segment(run.run_id)}{task}"


def _segment(name: str) -> str:
    """A name as one part of a path or of a query: no character of it ends the part, dots do not leave the folder."""
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError as error:
        raise BadInput(f"{name!r} is no name of a DAG, a run or a task: it is not text.") from error
    if not quoted:
        raise BadInput("the name of a DAG, a run or a task is empty.")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted


def _passes(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (401, 429) or error.response.is_server_error
    return isinstance(error, httpx.RequestError | Unavailable) and not isinstance(error, httpx.UnsupportedProtocol)


@contextmanager
def _plainly(where: str) -> Iterator[None]:
    """Turn whatever httpx raises, and what an answer's reader says, into one sentence with the address."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _status_error(where, error) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotConfigured(f"setting airflow.base_url: {where} is no address ({error}).") from error
    except httpx.RequestError as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"Airflow at {where} does not answer ({reason}): look at `koboshi status`.") from error
    except BadInput:
        raise
    except (Unavailable, Permanent) as error:
        raise type(error)(f"Airflow at {where} answers with {error}: look at setting airflow.base_url.") from error


def _status_error(where: str, error: httpx.HTTPStatusError) -> Permanent | Unavailable:
    answer = error.response
    if answer.is_redirect:
        to = answer.headers.get("location", "an address that it does not name")
        return NotConfigured(f"{where} sends on to {to}: set airflow.base_url to where Airflow itself answers.")
    kind = Unavailable if _passes(error) else Permanent
    return kind(f"Airflow at {where} answers {answer.status_code}: {answers.said(answer.content)}.")
