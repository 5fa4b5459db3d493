"""`.env`: the secrets of the containers, made once. Compose reads this file by itself; git is made to ignore it."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from koboshi import environment as names
from koboshi.files import publish_private
from koboshi.stack.secrets import random_key

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
