"""What DAG files are made of: tasks that run a verb or a stage, the assets that link the DAGs, retries, trigger forms.

A task only starts a command and waits for it. What the command ends with decides: 65 fails the task at once, since the
same call would fail again, and so does 2 (wrong words); 75, a signal (130, 143) or a kill is tried again, later each
time.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, ExceptionRetryPolicy, Param, RetryAction, RetryRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from koboshi.documents import load_mapping
from koboshi.errors import Permanent
from koboshi.events import JobSaid
from koboshi.files import sha256_of
from koboshi.orchestration import commands, workspaces
from koboshi.orchestration.workspaces import PROJECT, PROMOTE_BOX, Candidate, Workspace, candidates
from koboshi.parameters import numbers
from koboshi.sinks.log import to_log

if TYPE_CHECKING:
    from koboshi.settings import Settings

CUT = Asset("stream-cut")
CANDIDATE = Asset("candidate")
DVC_POOL = "dvc"
SERVED_WITHIN_S = 120.0
TASK_DEFAULTS = {
    "owner": "koboshi",
    "retries": 4,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(Permanent, RetryAction.FAIL, reason="exit code 65 or 2: the same call would fail again")]
    ),
}
_KEPT_BACK = (
    "experiment {workspace} is registered and compared, and not promoted: the verdict is in the log of `compare`. To "
    "promote it, trigger this DAG with that workspace and the box on."
)
_log = logging.getLogger(__name__)


def verb_task(task_id: str, *words: str, flags: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A task that runs `koboshi WORDS…`, with a flag for each named parameter of the run that is set.

    It runs in the workspace that the run's parameter `workspace` names, if there is one, else in the project.
    """

    def run(params: Mapping[str, Any]) -> None:
        given = [(flag, params[name]) for flag, name in (flags or {}).items() if params[name] is not None]
        run_verb(*words, *(str(word) for pair in given for word in pair), workspace=params.get("workspace"))

    return task(task_id=task_id, **options)(run)()


def stage_task(stage: str, **options: Any) -> Any:
    """A task that lets DVC reproduce one stage, with the run's parameters: changed ones make it an experiment.

    Where the run has a parameter `workspace`, the stage runs in the workspace of that name. If the task has the outlet
    `CANDIDATE`, its event says in which workspace the candidate is, and what the form's box says.
    """

    def run(params: Mapping[str, Any], outlet_events: Any) -> None:
        workspace = run_stage(stage, params)
        if CANDIDATE in options.get("outlets", ()):
            outlet_events[CANDIDATE].extra = workspaces.announced(workspace.name, params)

    return task(task_id=stage, **{"pool": DVC_POOL, **options})(run)()


def pin_task(**options: Any) -> Any:
    """A task that moves cut.json; it is skipped, without an event, when the last event told of this very cut.

    Key: the digest of cut.json. The event is the commit: a crash between the move and the event is made good by the
    next try, which compares with the last event and not with the file.
    """

    def pin(inlet_events: Any, outlet_events: Any) -> None:
        run_verb("pin")
        cut = sha256_of(_settings().project / "cut.json")
        told = inlet_events[CUT].ascending(False).limit(1)
        if len(told) and told[0].extra.get("cut") == cut:
            raise AirflowSkipException("the cut is where it was: there is nothing new to train on.")
        outlet_events[CUT].extra = {"cut": cut}

    return task(task_id="pin", inlets=[CUT], outlets=[CUT], **options)(pin)()


def candidate_task(verb: str, module: str, **options: Any) -> Any:
    """A task that runs `python -m MODULE VERB` in each candidate's workspace, and returns the outcomes."""

    def run(params: Mapping[str, Any], triggering_asset_events: Any) -> list[dict[str, Any]]:
        return [run_program(module, verb, one.workspace) for one in _candidates(params, triggering_asset_events)]

    return task(task_id=verb, pool=DVC_POOL, **options)(run)()


def promotion_task(verb: str, module: str, **options: Any) -> Any:
    """A `candidate_task` for the candidates that may be promoted; skipped, with a sentence, when none of them may.

    The committed pipeline's candidate may, an experiment's only if the form's box says so.
    """

    def run(params: Mapping[str, Any], triggering_asset_events: Any) -> list[dict[str, Any]]:
        found = _candidates(params, triggering_asset_events)
        kept_back = [candidate.workspace for candidate in found if not candidate.promotes]
        for workspace in kept_back:
            _to_log(_KEPT_BACK.format(workspace=workspace))
        if len(kept_back) == len(found):
            raise AirflowSkipException(f"nothing is promoted: {', '.join(kept_back)} registered and compared only.")
        return [run_program(module, verb, candidate.workspace) for candidate in found if candidate.promotes]

    return task(task_id=verb, pool=DVC_POOL, **options)(run)()


def served_task(outcomes: Any, **options: Any) -> Any:
    """A task that waits until the gateway answers with the candidate that is champion; skipped if none became it.

    A candidate that is champion already counts: the try before may have died between the alias and its outcome.
    """

    def served(outcomes: list[dict[str, Any]]) -> None:
        from koboshi.orchestration.gateway_answers import wait_until_served

        champions = [outcome for outcome in outcomes if outcome["outcome"] in ("promoted", "keep")]
        if not champions:
            raise AirflowSkipException("; ".join(f"{o['outcome']}: {o['reason']}" for o in outcomes))
        if (url := _settings().gateway.url) is None:
            raise AirflowSkipException("no gateway is configured: the replicas follow the alias by themselves.")
        version = champions[-1]["candidate"]["version"]
        replicas = wait_until_served(url, version, within_s=SERVED_WITHIN_S, on_line=_to_log)
        _to_log(f"version {version} is served by {', '.join(sorted(replicas))}")

    return task(task_id="served", **options)(served)(outcomes)


def trigger_form(*blocks: str) -> dict[str, Param]:
    """A field for each number in these blocks of params.yaml, or in all; an empty field means "as committed"."""
    committed = load_mapping(_settings().project / "params.yaml")
    chosen = {block: committed[block] for block in blocks or committed if block in committed}
    return {**promote_box(), **{name: _field(name, value) for name, value in numbers(chosen)}}


def promote_box() -> dict[str, Param]:
    """The form's box without which an experiment is registered and compared, and never promoted."""
    box = Param(
        False,
        type="boolean",
        title="Promote the experiment if it is not worse",
        description="Off: the experiment is registered and compared with the champion. What is served does not change.",
        section="experiment",
    )
    return {PROMOTE_BOX: box}


def topics() -> tuple[str, ...]:
    """The topics that koboshi.toml names to be landed."""
    return _settings().ingest.topics


def stages_of_project() -> list[str]:
    """The names of the stages in dvc.yaml, in its order."""
    return list(load_mapping(_settings().project / "dvc.yaml").get("stages", {}))


def run_verb(*words: str, workspace: str | None = None) -> None:
    """Run `koboshi WORDS…` in the project, or in the workspace that is named; its output goes to the task's log."""
    settings = _settings()
    here = Workspace(PROJECT, settings.project)
    if workspace:
        here = workspaces.find(settings.project, settings.state_dir, workspace)
    _run((str(Path(sys.executable).parent / "koboshi"), *words), here, f"koboshi {' '.join(words)}")


def run_stage(stage: str, params: Mapping[str, Any]) -> Workspace:
    """Run one stage where these parameters belong, or in the workspace that they name; returns the workspace."""
    from koboshi.orchestration import stages

    settings, run = _settings(), get_current_context()["ti"]
    if "workspace" in params:
        workspace = workspaces.find(settings.project, settings.state_dir, params["workspace"])
    else:
        workspace = workspaces.choose(settings.project, settings.state_dir, workspaces.numbers_of(params))
    _log.info("stage %s in workspace %s (%s)", stage, workspace.name, workspace.folder)
    _note_changes(workspace)
    stages.run_stage(
        stage,
        workspace,
        state_dir=settings.state_dir,
        ledger_url=settings.ledger_url,
        topics=settings.ingest.topics,
        holder=f"{run.dag_id} {run.run_id} {run.task_id}",
        on_line=_to_log,
    )
    return workspace


def run_program(module: str, verb: str, workspace: str) -> dict[str, Any]:
    """Run `python -m MODULE VERB` in a workspace; returns the outcome, the JSON in the last line of its output."""
    settings = _settings()
    where = workspaces.find(settings.project, settings.state_dir, workspace)
    _note_changes(where)
    ended = _run((sys.executable, "-m", module, verb), where, f"{module} {verb}")
    return {"workspace": workspace, **json.loads(ended.last_line)}


def _note_changes(workspace: Workspace) -> None:
    """Say in the run's note what this experiment changes; a run of the project itself keeps the note that it has."""
    if changes := workspaces.told_changes(workspace):
        from koboshi.orchestration import run_note

        run = get_current_context()["dag_run"]
        run_note.show(_settings().airflow, run_note.Run(run.dag_id, run.run_id), run.note or "", changes, _to_log)


def _run(command: tuple[str, ...], workspace: Workspace, what: str) -> commands.Ended:
    environment = workspace.environment(_settings().state_dir)
    ended = commands.run(command, cwd=workspace.folder, env=environment, on_line=_to_log)
    commands.raise_for(ended, what)
    return ended


def _candidates(params: Mapping[str, Any], triggering_asset_events: Any) -> list[Candidate]:
    """The candidates that this run is about: those of its events, oldest first, or the one asked for."""
    return candidates([event.extra for event in triggering_asset_events.get(CANDIDATE, ())] or [params])


def _to_log(line: str) -> None:
    to_log(JobSaid(line=line))


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
