"""What DVC does not look at: whether the objects of its cache still have the bytes that they are named after.

An object is named by its MD5; DVC computes that once, and a checkout copies what is there. These two functions find the
object that a changed file came from, and take changed objects and outputs away, so that `dvc repro` makes them again.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from koboshi.documents import load_mapping
from koboshi.errors import BadInput, Corrupt
from koboshi.files import remove
from koboshi.formats import manifest

LOCK = "dvc.lock"


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """An output that dvc.lock records: a path below the project, and the MD5 that names it in the cache."""

    path: Path
    md5: str


def outputs(project: Path) -> list[Output]:
    """The outputs in `project`/dvc.lock."""
    stages = load_mapping(project / LOCK).get("stages", {})
    return [Output(project / out["path"], out["md5"]) for stage in stages.values() for out in stage.get("outs", ())]


def source_of(path: Path) -> str:
    """A clause that names the changed cache object from which `path` was checked out; empty when there is none."""
    project = next((folder for folder in path.parents if (folder / LOCK).is_file()), None)
    object_path = _object_of(path, project) if project else None
    if object_path is None or not _is_changed(object_path):
        return ""
    return f" (nor is its source in DVC's cache, {object_path})"


def cache_folder(project: Path) -> Path:
    """The folder of DVC's cache that holds objects named by MD5, as its own configuration says.

    Raises `BadInput` where DVC does not know the project.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(project)) as repo:
            return Path(repo.cache.local.path)
    except NotDvcRepoError as error:
        raise BadInput(f"{project} is not under DVC, so there is no cache: run `dvc init` there first.") from error


def _object_of(path: Path, project: Path) -> Path | None:
    for output in outputs(project):
        if path == output.path:
            return _object_path(cache_folder(project), output.md5)
        if path.is_relative_to(output.path):
            return _child_object(cache_folder(project), output.md5, path.relative_to(output.path).as_posix())
    return None


def _child_object(cache: Path, directory_md5: str, name: str) -> Path | None:
    listing = _object_path(cache, directory_md5)
    if not listing.is_file() or _is_changed(listing):
        return None
    found = [entry["md5"] for entry in json.loads(listing.read_bytes()) if entry["relpath"] == name]
    return _object_path(cache, found[0]) if found else None


def _object_path(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _is_changed(path: Path) -> bool:
    """Whether an object exists with other bytes than those of its name (a folder's listing ends in `.dir`)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return found != path.parent.name + path.name.removesuffix(".dir")


def repair(project: Path) -> list[Path]:
    """Remove changed objects of DVC's cache and datasets with a changed byte; return what was removed.

    Safe to run again, and under a crash: each removal stands for itself, and what is gone is rebuilt by `dvc repro`.
    """
    changed = [path for path in sorted(cache_folder(project).glob("??/*")) if _is_changed(path)]
    broken = [out.path for out in outputs(project) if out.path.is_dir() and not _is_intact(out.path)]
    for path in (*changed, *broken):
        remove(path)
    return [*changed, *broken]


def _is_intact(folder: Path) -> bool:
    try:
        manifest.open_verified(folder)
    except Corrupt:
        return False
    except BadInput:
        return not (folder / manifest.FILE).exists()
    return True
