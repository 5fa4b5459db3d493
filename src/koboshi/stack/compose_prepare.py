"""`python -m koboshi.stack.compose_prepare`: what is done in the project's volume before the parts start."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from koboshi.documents import load_mapping
from koboshi.errors import BadInput
from koboshi.files import make_state_folder, publish_bytes, publish_changed, publish_private, remove
from koboshi.stack.parts import groups, write_files
from koboshi.stack.parts import secrets as all_secrets
from koboshi.stack.topology import IMAGE_PROJECT, Topology, container_topology

WRITTEN_BY_THE_PIPELINE = ("cut.json", "dvc.lock")


def main() -> None:
    """Safe to run again, also after a crash in the middle: each file appears whole, and an equal one is left alone."""
    topology = container_topology()
    make_state_folder(topology.paths.state_dir)
    bring_project(IMAGE_PROJECT, topology.paths.project)
    write_secrets(topology, os.environ)
    write_files(topology, groups())


def bring_project(image: Path, project: Path) -> None:
    """Put the image's project into the volume. What a pipeline writes is brought once, then it is the volume's own.

    DVC works without Git there. Code that is gone from the image goes from the volume, or Python would still find it.
    """
    kept = {*WRITTEN_BY_THE_PIPELINE, *outputs(image / "dvc.yaml")}
    for source in _files(image):
        name = source.relative_to(image).as_posix()
        target = project / name
        if not (target.exists() and name in kept):
            publish_changed(target, source.read_bytes())
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
            remove(path)


def write_secrets(topology: Topology, given: Mapping[str, str]) -> None:
    """The secrets that clients read from files; a changed one is written anew."""
    read = [secret for secret in all_secrets() if secret.file and secret.variable in given]
    for path, text in [(topology.paths.own / secret.file, secret.text(given[secret.variable])) for secret in read]:
        if not path.exists() or path.read_text() != text:
            publish_private(path, text)


FILE = ".env"


def ensure_env_file(path: Path) -> list[str]:
    """Add what is missing, and return its names. Lines that are there stay: volumes were made with those secrets.

    The file is replaced whole, and readable by its owner only from the beginning.
    """
    text = path.read_text() if path.exists() else ""
    makers = {secret.variable: secret.make for secret in all_secrets()}
    missing = [name for name in makers if name not in variables(text)]
    if missing or (path.stat().st_mode & 0o077):
        lines = [text.rstrip("\n")] if text.strip() else []
        publish_private(path, "\n".join([*lines, *(f"{name}={makers[name]()}" for name in missing)]) + "\n")
    return missing


def variables(text: str) -> dict[str, str]:
    """The variables of a .env file that have a value."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs if value.strip()}


def keep_out_of_git(path: Path) -> bool:
    """See to it that git ignores a file; True when a rule was added for that, in this clone alone (info/exclude).

    Raises `BadInput` when git tracks the file already: then its content is in the history, or about to be. Where there
    is no git, or none that knows this folder, there is nothing to do.
    """
    if _git(path, "rev-parse", "--is-inside-work-tree") is None:
        return False
    if _git(path, "ls-files", "--error-unmatch", path.name) is not None:
        raise BadInput(
            f"git tracks {path}, which is for secrets: run `git rm --cached {path.name}`, commit that, and run this "
            "again; secrets that are in a commit already have to be changed."
        )
    if _git(path, "check-ignore", "--quiet", path.name) is not None:
        return False
    below, rules = _git(path, "rev-parse", "--show-prefix"), _git(path, "rev-parse", "--git-path", "info/exclude")
    exclude = path.parent / str(rules)
    exclude.parent.mkdir(parents=True, exist_ok=True)
    with exclude.open("a+") as file:
        file.seek(0)
        text = file.read()
        file.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}/{below}{path.name}\n")
    return True


def _git(path: Path, *words: str) -> str | None:
    """What git answers in the file's folder; None where it says no, or is not there."""
    try:
        return subprocess.check_output(["git", *words], cwd=path.parent, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    main()
