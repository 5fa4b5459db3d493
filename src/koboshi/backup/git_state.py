"""What git says of a project: its commit, and the files that are in no commit as they stand."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def commit_of(project: Path) -> str | None:
    """The commit that is checked out; None where there is no git."""
    return _git(project, "rev-parse", "HEAD")


def changed_files(project: Path, names: Sequence[str] = ()) -> list[str] | None:
    """Tracked files, or some names, that are not as committed; None where there is no git."""
    untracked = "--untracked-files=all" if names else "--untracked-files=no"
    found = _git(project, "status", "--porcelain", untracked, "--", *names)
    return None if found is None else [line[3:] for line in found.splitlines()]


def _git(project: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()
