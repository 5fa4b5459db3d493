"""Airflow's REST interface (API v2): trigger a run under a name of our own, follow it task by task.

Every call is safe to repeat: a run is named by who asks for it, and a second POST under one name attaches to the first.
"""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import stamina

from koboshi.errors import BadInput, NotConfigured, Permanent, Unavailable
from koboshi.proxies import for_httpx

_TIMEOUT_S = 30.0  # the first call after a start was seen to take six seconds
LOOK_S = 0.5
_ENDED = frozenset({"success", "failed"})


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A run of a DAG, by its two names."""

    dag_id: str
    run_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class TaskState:
    """How far a task is: Airflow's state (None: not yet scheduled), which try it is, seconds of the newest try."""

    task_id: str
    state: str | None
    try_number: int
    duration_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Try:
    """One try of a task: its process and when it began and ended (seconds since 1970; None: not yet)."""

    number: int
    state: str | None
    pid: int | None
    began_s: float | None
    ended_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `success` or `failed`, and its tasks by name."""

    run: Run
    state: str
    tasks: Mapping[str, TaskState]


class AirflowClient:
    """One user's session. Raises `Unavailable` when Airflow does not answer within some tries."""

    def __init__(self, base_url: str, username: str, password: str, *, tries: int = 6) -> None:
        """Nothing is sent before the first call."""
        self._client = httpx.Client(base_url=base_url.rstrip("/"), timeout=_TIMEOUT_S, mounts=for_httpx(base_url))
        self._login = {"username": username, "password": password}
        self._tries = tries

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def wait_for_dag(self, dag_id: str, *, within_s: float) -> None:
        """Wait until Airflow knows the DAG, and see that it is not paused."""
        deadline = time.monotonic() + within_s
        while (answer := self._call("GET", f"/dags/{dag_id}", accept=(404,))).status_code == 404:
            if time.monotonic() > deadline:
                raise Unavailable(f"Airflow does not know the DAG {dag_id} after {within_s:.0f} s: look at its page.")
            time.sleep(LOOK_S)
        if answer.json()["is_paused"]:
            self._call("PATCH", f"/dags/{dag_id}", body={"is_paused": False})

    def trigger(self, run: Run, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run; one of this name that there is already is the run (409), whoever started it.

        Raises `BadInput` when Airflow refuses the parameters.
        """
        body = {"dag_run_id": run.run_id, "logical_date": None, "conf": dict(conf or {})}
        answer = self._call("POST", f"/dags/{run.dag_id}/dagRuns", body=body, accept=(400, 409, 422))
        if answer.status_code in (400, 422):
            raise BadInput(f"Airflow refuses these parameters of {run.dag_id}: {_detail(answer)}.")
        return run

    def follow(self, run: Run, *, within_s: float, on_change: Callable[[TaskState], None] = lambda _: None) -> Outcome:
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
                return Outcome(run, state, seen)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{run.dag_id} {run.run_id} is still {state} after {within_s:.0f} s: look at its page."
                )
            time.sleep(LOOK_S)

    def state(self, run: Run) -> str:
        """The run's state."""
        return str(self._call("GET", _path(run)).json()["state"])

    def tasks(self, run: Run) -> list[TaskState]:
        """The run's tasks; a mapped one counts as its last."""
        answer = self._call("GET", f"{_path(run)}/taskInstances?limit=100").json()["task_instances"]
        return [TaskState(t["task_id"], t["state"], t["try_number"], t["duration"]) for t in answer]

    def tries(self, run: Run, task_id: str) -> list[Try]:
        """Every try of a task so far, oldest first."""
        answer = self._call("GET", f"{_path(run)}/taskInstances/{task_id}/tries", accept=(404,))
        found = [_try(t) for t in answer.json()["task_instances"]] if answer.is_success else []
        return sorted(found, key=lambda one: one.number)

    def forget(self, run: Run) -> None:
        """End a run, if it has not ended, and remove it from Airflow's records; nothing if there is none."""
        self._call("PATCH", _path(run), body={"state": "failed"}, accept=(404, 409))
        self._call("DELETE", _path(run), accept=(404, 409))

    def log(self, run: Run, task_id: str, try_number: int) -> list[str]:
        """What a try of a task has logged so far, event by event."""
        path = f"{_path(run)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self._call("GET", path, accept=(404,))
        return [_event(event) for event in answer.json().get("content", ())] if answer.is_success else []

    def started_by(self, run: Run) -> list[Run] | None:
        """The runs of other DAGs that this run's asset events started; None when it emitted no event."""
        path = f"/assets/events?source_dag_id={run.dag_id}&source_run_id={quote(run.run_id)}"
        answer = self._call("GET", path, accept=(500,))  # a run that was made this moment has no start date yet
        if not answer.is_success:
            return []
        events = answer.json()["asset_events"]
        made = [Run(made["dag_id"], made["run_id"]) for event in events for made in event["created_dagruns"]]
        return made if events else None

    def _call(self, method: str, path: str, *, body: object = None, accept: tuple[int, ...] = ()) -> httpx.Response:
        with _plainly(self._client.base_url):
            for attempt in stamina.retry_context(on=_passes, attempts=self._tries, timeout=None, wait_initial=0.5):
                with attempt:
                    answer = self._send(method, path, body)
                    if answer.status_code not in accept:
                        answer.raise_for_status()
        return answer

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        if "Authorization" not in self._client.headers:
            answer = self._client.post("/auth/token", json=self._login)
            answer.raise_for_status()
            self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        answer = self._client.request(method, f"/api/v2{path}", json=body)
        if answer.status_code == 401:  # the token's time is over: the next try gets a new one
            del self._client.headers["Authorization"]
        return answer


def connect(base_url: str, username: str, passwords_path: Path | None) -> AirflowClient:
    """A client for the user whose password is in the file {"username": "password"}."""
    try:
        password = json.loads(passwords_path.read_text())[username] if passwords_path else ""
    except (OSError, ValueError, KeyError) as error:
        raise NotConfigured(
            f"Airflow's password of {username} is not in {passwords_path}: run `koboshi up`."
        ) from error
    return AirflowClient(base_url, username, password)


def _path(run: Run) -> str:
    return f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}"


def _passes(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (401, 429) or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


@contextmanager
def _plainly(where: httpx.URL) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        kind = Unavailable if _passes(error) else Permanent
        raise kind(f"Airflow at {where} answers {error.response.status_code}: {_detail(error.response)}.") from error
    except httpx.TransportError as error:
        raise Unavailable(f"Airflow at {where} does not answer ({error}): look at `koboshi status`.") from error


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _try(row: Mapping[str, Any]) -> Try:
    return Try(row["try_number"], row["state"], row["pid"], _seconds(row["start_date"]), _seconds(row["end_date"]))


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.datetime.fromisoformat(moment).timestamp()


def _event(event: Any) -> str:
    return str(event.get("event", "")) if isinstance(event, dict) else str(event)
