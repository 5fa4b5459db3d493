"""What Airflow's REST interface answers, read without trust: bytes become small values, or one sentence.

Pure. A body that is not JSON may be a proxy's page or half an answer, so it is `Unavailable`: asking again may help.
JSON of another shape than API v2 has is `Permanent`: something else than Airflow 3 is asked.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, StringConstraints, TypeAdapter, ValidationError

from koboshi.errors import Permanent, Unavailable

_SHOWN = 200  # characters of an answer that a sentence quotes
T = TypeVar("T")


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


def read_nothing(_content: bytes) -> None:
    """The answer to a request whose status says everything."""


def read_token(content: bytes) -> str:
    """The access token that a login gives."""
    return _read(_LOGIN, content).access_token


def read_paused(content: bytes) -> bool:
    """Whether a DAG is paused."""
    return _read(_DAG, content).is_paused


def read_state(content: bytes) -> str:
    """The state of a run."""
    return _read(_RUN, content).state


def read_tasks(content: bytes) -> list[TaskState]:
    """The tasks of a run."""
    found = _read(_TASKS, content).task_instances
    return [TaskState(task.task_id, task.state, task.try_number, task.duration) for task in found]


def read_tries(content: bytes) -> list[Try]:
    """The tries of a task, oldest first."""
    rows = _read(_TRIES, content).task_instances
    tries = [Try(row.try_number, row.state, row.pid, _seconds(row.start_date), _seconds(row.end_date)) for row in rows]
    return sorted(tries, key=lambda one: one.number)


def read_log(content: bytes) -> list[str]:
    """The events of a task's log."""
    logged = _read(_LOG, content).content
    return [_event(event) for event in logged] if isinstance(logged, list) else (logged or "").splitlines()


def read_started(content: bytes) -> list[Run] | None:
    """The runs that asset events have made; None where there is no event."""
    events = _read(_EVENTS, content).asset_events
    made = [Run(run.dag_id, run.run_id) for event in events for run in event.created_dagruns]
    return made if events else None


def said(content: bytes) -> str:
    """What an answer that is an error says: its `detail`, or the beginning of the body."""
    try:
        return str(_PROBLEM.validate_json(content)["detail"])[:_SHOWN]
    except (ValidationError, KeyError):
        return " ".join(content[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN] or "nothing"


class _Login(BaseModel):
    access_token: Annotated[str, StringConstraints(pattern=r"^[!-~]+$")]  # it has to fit into a header


class _Dag(BaseModel):
    is_paused: bool


class _Run(BaseModel):
    state: str


class _Task(BaseModel):
    task_id: str
    state: str | None
    try_number: int
    duration: float | None


class _Tasks(BaseModel):
    task_instances: list[_Task]


class _Try(BaseModel):
    try_number: int
    state: str | None
    pid: int | None
    start_date: AwareDatetime | None
    end_date: AwareDatetime | None


class _Tries(BaseModel):
    task_instances: list[_Try]


class _Log(BaseModel):
    content: list[Any] | str | None = None


class _Made(BaseModel):
    dag_id: str
    run_id: str


class _Event(BaseModel):
    created_dagruns: list[_Made]


class _Events(BaseModel):
    asset_events: list[_Event]


_LOGIN, _DAG, _RUN = TypeAdapter(_Login), TypeAdapter(_Dag), TypeAdapter(_Run)
_TASKS, _TRIES, _LOG = TypeAdapter(_Tasks), TypeAdapter(_Tries), TypeAdapter(_Log)
_EVENTS: TypeAdapter[_Events] = TypeAdapter(_Events)
_PROBLEM: TypeAdapter[Mapping[str, Any]] = TypeAdapter(Mapping[str, Any])


def _read(shape: TypeAdapter[T], content: bytes) -> T:
    try:
        return shape.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Unavailable(f'a body that is not JSON, or not all of it ("{said(content)}")') from error
        where = ".".join(map(str, first["loc"])) or "the body"
        raise Permanent(f"JSON that is not that of Airflow's API v2 ({where}: {first['msg']})") from error


def _seconds(moment: Any) -> float | None:
    return None if moment is None else float(moment.timestamp())


def _event(event: Any) -> str:
    return str(event.get("event", "")) if isinstance(event, dict) else str(event)
