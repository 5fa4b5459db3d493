"""`.env`: the secrets of the containers, made once. Compose reads this file by itself; git is made to ignore it."""

import secrets
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from koboshi import environment as names
from koboshi.errors import BadInput
from koboshi.files import publish_private
from koboshi.stack.site import random_key

FILE = ".env"
MAKERS: Mapping[str, Callable[[], str]] = {
    names.AIRFLOW_JWT: random_key,
    names.AIRFLOW_SESSION: random_key,
    names.AIRFLOW_FERNET: random_key,
    names.AIRFLOW_PASSWORD: lambda: secrets.token_urlsafe(12),
    names.RAY_TOKEN: lambda: secrets.token_hex(32),
    names.POSTGRES_PASSWORD: lambda: secrets.token_urlsafe(24),
}


def ensure_env_file(path: Path) -> list[str]:
    """Add what is missing, and return its names. Lines that are there stay: volumes were made with those secrets.

    The file is replaced whole, and readable by its owner only from the beginning.
    """
    text = path.read_text() if path.exists() else ""
    missing = [name for name in MAKERS if name not in variables(text)]
    if missing or (path.stat().st_mode & 0o077):
        lines = [text.rstrip("\n")] if text.strip() else []
        publish_private(path, "\n".join([*lines, *(f"{name}={MAKERS[name]()}" for name in missing)]) + "\n")
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
        done = subprocess.run(["git", *words], cwd=path.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
