"""The numbers of params.yaml by their dotted names, how they differ from the committed ones, and where those are."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = "params.yaml"
ORIGIN = ".dvc/project"  # in an experiment's workspace: the path of the project that it is a copy of
LONGEST = 80
NONE = "(none)"


def numbers(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of params.yaml that is not itself a block, under its dotted name, in the file's order."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def differences(committed: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, str]:
    """What differs, in words: `{"train.seed": "0 → 7"}`. A value that is in one of them only differs, too."""
    before, after = dict(numbers(committed)), dict(numbers(present))
    names = [*after, *(name for name in before if name not in after)]
    told = {name: (_told(before, name), _told(after, name)) for name in names}
    return {name: f"{old} → {new}" for name, (old, new) in told.items() if old != new}


def _told(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return NONE
    value = values[name]
    said = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def home_of(folder: Path) -> Path:
    """The project that a folder is a workspace of, or the folder itself."""
    try:
        return Path((folder / ORIGIN).read_text().strip())
    except OSError:
        return folder
