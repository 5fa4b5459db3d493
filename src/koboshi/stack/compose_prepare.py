"""`python -m koboshi.stack.compose_prepare`: what is done in the project's volume before the parts start."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from koboshi.documents import load_mapping
from koboshi.environment import AIRFLOW_PASSWORD, RAY_TOKEN
from koboshi.files import make_state_folder, publish_bytes, publish_private
from koboshi.stack.parts_table import groups, write_files
from koboshi.stack.site import ADMIN, IMAGE_PROJECT, Site, container_site

WRITTEN_BY_THE_PIPELINE = ("cut.json", "dvc.lock")


def main() -> None:
    """Safe to run again, also after a crash in the middle: each file appears whole, and an equal one is left alone."""
    site = container_site()
    make_state_folder(site.places.state_dir)
    bring_project(IMAGE_PROJECT, site.places.project)
    write_secrets(site, os.environ)
    write_files(site, groups())


def bring_project(image: Path, project: Path) -> None:
    """Put the image's project into the volume. What a pipeline writes is brought once, then it is the volume's own.

    DVC works without Git there. Code that is gone from the image goes from the volume, or Python would still find it.
    """
    kept = {*WRITTEN_BY_THE_PIPELINE, *outputs(image / "dvc.yaml")}
    for source in _files(image):
        name = source.relative_to(image).as_posix()
        target = project / name
        if not (target.exists() and (name in kept or target.read_bytes() == source.read_bytes())):
            publish_bytes(target, source.read_bytes())
    for folder in (path for path in image.iterdir() if path.is_dir() and not path.name.startswith(".")):
        _remove_what_is_gone(folder, project / folder.name)
    publish_bytes(project / ".dvc" / "config.local", b"[core]\nno_scm = true\n")


def outputs(dvc_yaml: Path) -> set[str]:
    """The paths that the stages of a pipeline make."""
    stages: Mapping[str, Any] = load_mapping(dvc_yaml).get("stages", {})
    entries = (entry for s in stages.values() for key in ("outs", "metrics", "plots") for entry in s.get(key, ()))
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _remove_what_is_gone(image: Path, project: Path) -> None:
    for path in sorted(project.rglob("*")):
        source = image / path.relative_to(project)
        if path.name != "__pycache__" and path.exists() and not source.exists() and path.parent.name != "__pycache__":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_secrets(site: Site, given: Mapping[str, str]) -> None:
    """The secrets that clients read from files; a changed one is written anew."""
    passwords = json.dumps({ADMIN: given[AIRFLOW_PASSWORD]})
    wanted = {site.secrets.airflow_passwords_path: passwords, site.secrets.ray_token_path: given[RAY_TOKEN]}
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            publish_private(path, text)


if __name__ == "__main__":
    main()
