"""A workspace of a drill's own: where the runs of Airflow work that are to be killed."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.files import publish_bytes

STAGE = "train"
PUBLISHED = "trained"


def make_workspace(folder: Path, command: Sequence[str], files: Mapping[str, bytes], ingest: Mapping[str, Any]) -> None:
    """Write a project with one stage, which runs `command` after any of `files` has changed; DVC's cache is its own.

    Its koboshi.toml names a ledger beside it, and the settings of its ingest; addresses are the stack's.
    """
    stage = {"cmd": shlex.join(command), "deps": sorted(files), "outs": [PUBLISHED]}
    ledger, cache = folder.parent / "ledger.db", folder.parent / "cache"
    lines = [f'ledger_url = "sqlite:///{ledger}"', "[ingest]", *(f"{k} = {json.dumps(v)}" for k, v in ingest.items())]
    texts = {
        "dvc.yaml": json.dumps({"stages": {STAGE: stage}}),
        "koboshi.toml": "\n".join(lines) + "\n",
        ".dvc/config": f"[core]\nno_scm = true\nanalytics = false\n[cache]\ndir = {cache}\n",
    }
    for name, content in {**files, **{name: text.encode() for name, text in texts.items()}}.items():
        publish_bytes(folder / name, content)
