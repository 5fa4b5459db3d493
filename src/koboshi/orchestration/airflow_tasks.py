"""What DAG files are made of: tasks that run a verb or a stage, the assets that link the DAGs, retries, trigger forms.

A task only starts a command and waits for it. What the command ends with decides: 65 fails the task at once, since the
same call would fail again; 75, a kill or anything unforeseen is tried again, later each time.
"""

import logging
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, ExceptionRetryPolicy, Param, RetryAction, RetryRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from koboshi.errors import Permanent

if TYPE_CHECKING:
    from koboshi.orchestration.workspaces import Workspace
    from koboshi.settings import Settings

CUT = Asset("stream-cut")
CANDIDATE = Asset("candidate")
DVC_POOL = "dvc"
TASK_DEFAULTS = {
    "owner": "koboshi",
    "retries": 4,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(Permanent, RetryAction.FAIL, reason="exit code 65: the same call would fail again")]
    ),
}
_log = logging.getLogger(__name__)


def verb_task(task_id: str, *words: str, flags: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A task that runs `koboshi WORDS…`, with a flag for each named parameter of the run that is set."""

    def run(params: Mapping[str, Any]) -> None:
        given = [(flag, params[name]) for flag, name in (flags or {}).items() if params[name] is not None]
        run_verb(*words, *(str(word) for pair in given for word in pair))

    return task(task_id=task_id, **options)(run)()


def stage_task(stage: str, **options: Any) -> Any:
    """A task that lets DVC reproduce one stage, with the run's parameters: changed ones make it an experiment.

    If it has the outlet `CANDIDATE`, its event says in which workspace the candidate is.
    """

    def run(params: Mapping[str, Any], outlet_events: Any) -> None:
        workspace = run_stage(stage, params)
        if CANDIDATE in options.get("outlets", ()):
            outlet_events[CANDIDATE].extra = {"workspace": workspace.name}

    return task(task_id=stage, pool=DVC_POOL, **options)(run)()


def pin_task(**options: Any) -> Any:
    """A task that moves cut.json; it is skipped, without an event, when the last event told of this very cut.

    Key: the digest of cut.json. The event is the commit: a crash between the move and the event is made good by the
    next try, which compares with the last event and not with the file.
    """

    def pin(inlet_events: Any, outlet_events: Any) -> None:
        from koboshi.files import sha256_of

        run_verb("pin")
        cut = sha256_of(_settings().project / "cut.json")
        told = inlet_events[CUT].ascending(False).limit(1)
        if len(told) and told[0].extra.get("cut") == cut:
            raise AirflowSkipException("the cut is where it was: there is nothing new to train on.")
        outlet_events[CUT].extra = {"cut": cut}

    return task(task_id="pin", inlets=[CUT], outlets=[CUT], **options)(pin)()


def trigger_form(*blocks: str) -> dict[str, Param]:
    """A field for each number in these blocks of params.yaml; an empty field means "as committed"."""
    from koboshi.orchestration.parameters import numbers
    from koboshi.orchestration.workspaces import read_yaml

    committed = read_yaml(_settings().project / "params.yaml")
    chosen = {block: committed[block] for block in blocks if block in committed}
    return {name: _field(name, value) for name, value in numbers(chosen)}


def topics() -> tuple[str, ...]:
    """The topics that koboshi.toml names to be landed."""
    return _settings().ingest.topics


def run_verb(*words: str) -> None:
    """Run `koboshi WORDS…` in the project; its output goes to the task's log."""
    from koboshi.orchestration import commands

    executable = Path(sys.executable).parent / "koboshi"
    ended = commands.run(
        (str(executable), *words), cwd=_settings().project, env=os.environ, on_line=lambda line: _log.info("%s", line)
    )
    commands.raise_for(ended, f"koboshi {' '.join(words)}")


def run_stage(stage: str, params: Mapping[str, Any]) -> "Workspace":
    """Run one stage where these parameters belong; returns the workspace."""
    from koboshi.orchestration import stages, workspaces

    settings, run = _settings(), get_current_context()["ti"]
    workspace = workspaces.choose(settings.project, settings.state_dir, params)
    _log.info("stage %s in workspace %s (%s)", stage, workspace.name, workspace.folder)
    stages.run_stage(
        stage,
        workspace,
        state_dir=settings.state_dir,
        ledger_url=settings.ledger_url,
        holder=f"{run.dag_id} {run.run_id} {run.task_id}",
        on_line=lambda line: _log.info("%s", line),
    )
    return workspace


def _settings() -> "Settings":
    from koboshi.settings import load_settings

    return load_settings()


def _field(name: str, committed: Any) -> Param:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return Param(
        None,
        type=["null", kinds.get(type(committed), "string")],
        title=name,
        description=f"as committed: {committed}",
        section=name.partition(".")[0],
    )
