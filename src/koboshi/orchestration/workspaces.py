"""Where a run works: in the project itself, or, with changed parameters, in a copy that changes nothing there.

An experiment's folder is `<state folder>/workspaces/<digest of the changes>`: the same changes find the same folder and
so what was done in it. It has the files that the stages name, a params.yaml of its own and a dvc.lock of its own, and
shares DVC's cache with the project, so that only what depends on the changes is done again.
"""

import copy
import dataclasses
import datetime
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from koboshi.documents import load_mapping
from koboshi.errors import BadInput
from koboshi.files import make_state_folder, publish_bytes, publish_changed, remove
from koboshi.names import one_part, parts_below
from koboshi.parameters import FILE as PARAMS
from koboshi.parameters import ORIGIN, differences, home_of, numbers


def changes(committed: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted values that differ from the committed ones; None means "as committed".

    Raises `BadInput` for a name that is not there, or a value of another kind than the committed one.
    """
    known = dict(numbers(committed))
    given = {name: value for name, value in wanted.items() if value is not None}
    if unknown := sorted(set(given) - set(known)):
        raise BadInput(f"params.yaml has no {', '.join(unknown)}: it has {', '.join(known)}.")
    fitting = {name: _of_kind(name, known[name], value) for name, value in given.items()}
    return {name: value for name, value in fitting.items() if value != known[name]}


def changed(committed: Mapping[str, Any], differing: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the committed parameters with some values changed."""
    params = copy.deepcopy(dict(committed))
    for name, value in differing.items():
        *blocks, last = name.split(".")
        block = params
        for step in blocks:
            block = block[step]
        block[last] = value
    return params


def digest(differing: Mapping[str, Any]) -> str:
    """The name of an experiment: the same changes have the same one, in whatever order they were given."""
    return hashlib.sha256(json.dumps(dict(differing), sort_keys=True, default=str).encode()).hexdigest()[:16]


def _of_kind(name: str, committed: Any, value: Any) -> Any:
    if committed is None or type(value) is type(committed):
        return value
    if isinstance(committed, float) and type(value) is int:
        return float(value)
    if isinstance(committed, datetime.date) and isinstance(value, str):
        return _date(name, committed, value)
    raise BadInput(f"{name} is {committed!r} in params.yaml and cannot be {value!r}: give a {_kind(committed)}.")


def _date(name: str, committed: datetime.date, value: str) -> datetime.date:
    try:
        return type(committed).fromisoformat(value)
    except ValueError as error:
        raise BadInput(f"{name} is {committed} in params.yaml and cannot be {value!r}: write it alike.") from error


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list"}
    return names.get(type(value), type(value).__name__)


PROJECT = "project"
_FILES = ("dvc.yaml", "koboshi.toml", ".dvc/config", ".dvc/plots")


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with dvc.yaml, dvc.lock and params.yaml; `name` is `project` or the digest of the changes."""

    name: str
    folder: Path

    def environment(self, state_dir: Path) -> dict[str, str]:
        """The environment for a command that works here: the caller's, with the same state folder and programs."""
        return {
            **os.environ,
            "KOBOSHI_PROJECT": str(self.folder),
            "KOBOSHI_STATE_DIR": str(state_dir),
            "DVC_SITE_CACHE_DIR": str(state_dir / "dvc" / "site"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }


def choose(project: Path, state_dir: Path, wanted: Mapping[str, Any]) -> Workspace:
    """The workspace for a run with these parameters, made or brought up to date if it is an experiment's.

    Under a crash: safe to call again; each file appears whole. `dvc.lock` is copied once, then it is the experiment's
    own. Raises `BadInput` for parameters that do not fit.
    """
    committed = load_mapping(project / PARAMS)
    differing = changes(committed, wanted)
    if not differing:
        return Workspace(PROJECT, project)
    import yaml

    folder = state_dir / "workspaces" / digest(differing)
    make_state_folder(state_dir)
    _copy_project(project, folder)
    publish_changed(folder / PARAMS, yaml.safe_dump(changed(committed, differing), sort_keys=False).encode())
    _configure_dvc(project, folder)
    publish_changed(folder / ORIGIN, f"{project}\n".encode())
    return Workspace(folder.name, folder)


def find(project: Path, state_dir: Path, name: str) -> Workspace:
    """The workspace of this name, as a run left it. Raises `BadInput` if there is none."""
    folder = project if name == PROJECT else state_dir / "workspaces" / one_part(name, "the workspace")
    if not (folder / "dvc.yaml").is_file():
        raise BadInput(f"there is no workspace {name} in {state_dir / 'workspaces'}: run the DAG `train` first.")
    return Workspace(name, folder)


def told_changes(workspace: Workspace) -> dict[str, str]:
    """What an experiment changes, in words, by dotted name; nothing for the project itself."""
    here, home = workspace.folder, home_of(workspace.folder)
    return differences(load_mapping(home / PARAMS), load_mapping(here / PARAMS)) if here != home else {}


def sources(pipeline: Mapping[str, Any]) -> list[str]:
    """The top-level names that the stages depend on and do not make themselves: what an experiment has to copy.

    An absolute path or a URL is the same from every folder, so it is not copied. Raises `BadInput` for a path that
    leads out of the project: from the experiment's folder it would name something else.
    """
    stages = pipeline.get("stages", {}).values()
    made = {path.parts[0] for stage in stages for key in ("outs", "metrics", "plots") for path in _paths(stage, key)}
    used = {path.as_posix() for stage in stages for path in _paths(stage, "deps")}
    inside = (parts_below(path, "in dvc.yaml the dependency") for path in used if not _is_everywhere(path))
    return sorted({path.split("/")[0] for path in inside} - made)


def _is_everywhere(path: str) -> bool:
    return path.startswith("/") or ":/" in path  # PurePosixPath makes one slash of the two in s3://


def _paths(stage: Mapping[str, Any], key: str) -> Iterator[PurePosixPath]:
    """Entries are paths, or `path: {options}`."""
    for entry in stage.get(key, ()):
        yield PurePosixPath(entry if isinstance(entry, str) else next(iter(entry)))


def _copy_project(project: Path, folder: Path) -> None:
    for name in (*_FILES, *sources(load_mapping(project / "dvc.yaml"))):
        _copy(project / name, folder / name)
    if not (folder / "dvc.lock").exists():
        _copy(project / "dvc.lock", folder / "dvc.lock")


def _copy(source: Path, target: Path) -> None:
    """A file, or a folder's files; what is gone from the source goes from the target, too."""
    if source.is_dir():
        names = [path.name for path in source.iterdir() if not path.name.startswith((".", "__pycache__"))]
        for there in target.iterdir() if target.is_dir() else ():
            if there.name not in names and there.name != "__pycache__":
                remove(there)
        for name in names:
            _copy(source / name, target / name)
    elif source.is_file():
        publish_changed(target, source.read_bytes())  # DVC need not hash an equal one again


def _configure_dvc(project: Path, folder: Path) -> None:
    """One cache for all, by absolute path; and no Git, which would find the project's repository above."""
    from koboshi.orchestration.dvc_stage import cache_of

    text = f"[core]\nno_scm = true\nanalytics = false\n[cache]\ndir = {cache_of(project)}\n"
    publish_bytes(folder / ".dvc/config.local", text.encode())


PROMOTE_BOX = "promote_experiment"


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A workspace with a candidate; `promotes` says whether it may become champion."""

    workspace: str
    promotes: bool


def announced(workspace: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the event of a trained candidate says: its workspace, and the box of the form that started the training."""
    return {"workspace": workspace, PROMOTE_BOX: params.get(PROMOTE_BOX) is True}


def numbers_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The form without the box: what makes an experiment."""
    return {name: value for name, value in params.items() if name != PROMOTE_BOX}


def candidates(told: Iterable[Mapping[str, Any]]) -> list[Candidate]:
    """The candidates of these events, or of a form, in their order; of one workspace the last box counts.

    The committed pipeline's candidate may be promoted, an experiment's only where the box is on. An event without a box
    is one of an older koboshi, whose forms had none.
    """
    boxes = {extra["workspace"]: extra.get(PROMOTE_BOX) is True for extra in told}
    return [Candidate(workspace, box or workspace == PROJECT) for workspace, box in boxes.items()]
