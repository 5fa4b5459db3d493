"""Where a run works: in the project itself, or, with changed parameters, in a copy that changes nothing there.

An experiment's folder is `<state folder>/workspaces/<digest of the changes>`: the same changes find the same folder and
so what was done in it. It has the files that the stages name, a params.yaml of its own and a dvc.lock of its own, and
shares DVC's cache with the project, so that only what depends on the changes is done again.
"""

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from koboshi.documents import load_mapping
from koboshi.errors import BadInput
from koboshi.files import make_state_folder, publish_bytes
from koboshi.names import one_part, parts_below
from koboshi.orchestration import parameters

PROJECT = "project"
_PARAMS = "params.yaml"
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
    committed = load_mapping(project / _PARAMS)
    differing = parameters.changes(committed, wanted)
    if not differing:
        return Workspace(PROJECT, project)
    workspace = Workspace(parameters.digest(differing), state_dir / "workspaces" / parameters.digest(differing))
    make_state_folder(state_dir)
    _copy_project(project, workspace.folder)
    _write_yaml(workspace.folder / _PARAMS, parameters.changed(committed, differing))
    _configure_dvc(project, workspace.folder)
    return workspace


def find(project: Path, state_dir: Path, name: str) -> Workspace:
    """The workspace of this name, as a run left it. Raises `BadInput` if there is none."""
    folder = project if name == PROJECT else state_dir / "workspaces" / one_part(name, "the workspace")
    if not (folder / "dvc.yaml").is_file():
        raise BadInput(f"there is no workspace {name} in {state_dir / 'workspaces'}: run the DAG `train` first.")
    return Workspace(name, folder)


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
                _remove(there)
        for name in names:
            _copy(source / name, target / name)
    elif source.is_file() and not _same(source, target):
        publish_bytes(target, source.read_bytes())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _same(source: Path, target: Path) -> bool:
    """An equal file is left alone, so that DVC need not hash it again."""
    return target.is_file() and target.read_bytes() == source.read_bytes()


def _write_yaml(file: Path, content: Mapping[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(dict(content), sort_keys=False)
    if not file.is_file() or file.read_text() != text:
        publish_bytes(file, text.encode())


def _configure_dvc(project: Path, folder: Path) -> None:
    """One cache for all, by absolute path; and no Git, which would find the project's repository above."""
    from koboshi.orchestration.dvc_cache import cache_of

    text = f"[core]\nno_scm = true\nanalytics = false\n[cache]\ndir = {cache_of(project)}\n"
    publish_bytes(folder / ".dvc/config.local", text.encode())
