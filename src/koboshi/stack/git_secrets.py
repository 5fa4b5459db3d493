"""A file of secrets in a project under git: `git add -A` must not take it."""

import subprocess
from pathlib import Path

from koboshi.errors import BadInput


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
        done = subprocess.run(["git", *words], cwd=path.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
