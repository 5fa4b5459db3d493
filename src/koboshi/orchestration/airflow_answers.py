"""What Airflow's REST interface answers, read without trust: bytes become small values, or one sentence.

Pure. A body that is not JSON may be a proxy's page or half an answer, so it is `Unavailable`: asking again may help.
JSON of another shape than API v2 has is `Permanent`: something else than Airflow 3 is asked.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from koboshi.errors import Permanent, Unavailable

_SHOWN = 200  # characters of an answer that a sentence quotes
_MOMENT: TypeAdapter[AwareDatetime] = TypeAdapter(AwareDatetime)


def _seconds(moment: Any) -> float | None:
    return None if moment is None else _MOMENT.validate_python(moment).timestamp()


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
    duration_s: Annotated[float | None, Field(validation_alias="duration")]


@dataclasses.dataclass(frozen=True, slots=True)
class Try:
    """One try of a task: its process and when it began and ended (seconds since 1970; None: not yet)."""

    number: Annotated[int, Field(validation_alias="try_number")]
    state: str | None
    pid: int | None
    began_s: Annotated[float | None, BeforeValidator(_seconds), Field(validation_alias="start_date")]
    ended_s: Annotated[float | None, BeforeValidator(_seconds), Field(validation_alias="end_date")]


@dataclasses.dataclass(frozen=True, slots=True)
class _AssetEvent:
    created_dagruns: list[Run]


def read_nothing(_content: bytes) -> None:
    """The answer to a request whose status says everything."""


def _reader(field: str, kind: Any, default: Any = ...) -> Callable[[bytes], Any]:
    """A function that reads one field of an answer, and passes over all others."""
    fields: dict[str, Any] = {field: (kind, default)}
    shape = create_model("Answer", **fields)

    def read(content: bytes) -> Any:
        try:
            return getattr(shape.model_validate_json(content), field)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise Unavailable(f'a body that is not JSON, or not all of it ("{said(content)}")') from error
            where = ".".join(map(str, first["loc"])) or "the body"
            raise Permanent(f"JSON that is not that of Airflow's API v2 ({where}: {first['msg']})") from error

    return read


read_token: Callable[[bytes], str] = _reader(
    "access_token",
    Annotated[str, StringConstraints(pattern=r"^[!-~]+$")],  # it has to fit into a header
)
read_paused: Callable[[bytes], bool] = _reader("is_paused", bool)
read_state: Callable[[bytes], str] = _reader("state", str)
read_note: Callable[[bytes], str | None] = _reader("note", str | None, None)
read_tasks: Callable[[bytes], list[TaskState]] = _reader("task_instances", list[TaskState])
_tries: Callable[[bytes], list[Try]] = _reader("task_instances", list[Try])
_logged: Callable[[bytes], list[Any] | str | None] = _reader("content", list[Any] | str | None, None)
_events: Callable[[bytes], list[_AssetEvent]] = _reader("asset_events", list[_AssetEvent])


def read_tries(content: bytes) -> list[Try]:
    """The tries of a task, oldest first."""
    return sorted(_tries(content), key=lambda one: one.number)


def read_log(content: bytes) -> list[str]:
    """The events of a task's log."""
    logged = _logged(content)
    if not isinstance(logged, list):
        return (logged or "").splitlines()
    return [str(event.get("event", "") if isinstance(event, dict) else event) for event in logged]


def read_started(content: bytes) -> list[Run] | None:
    """The runs that asset events have made; None where there is no event."""
    events = _events(content)
    return [run for event in events for run in event.created_dagruns] if events else None


def said(content: bytes) -> str:
    """What an answer that is an error says: its `detail`, or the beginning of the body."""
    try:
        return str(json.loads(content)["detail"])[:_SHOWN]
    except (ValueError, LookupError, TypeError, RecursionError):
        return " ".join(content[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN] or "nothing"
