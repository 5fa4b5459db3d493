"""Restoring a backup, as a commit path that is swept."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from koboshi.backup import restoring
from koboshi.backup.making import pieces
from koboshi.backup.restoring import VERIFIED, restore
from koboshi.errors import Corrupt
from koboshi.events import unheard
from koboshi.settings import Settings, load_settings
from koboshi.stack.paths import find_paths
from tests.support.backed_up import backup_of, empty_project, everything, filled_project


class RestoreABackup:
    """From an empty project to one that has everything."""

    def prepare(self, folder: Path) -> None:
        settings = filled_project(folder / "original")
        backup_of(settings, folder / "backup")
        (folder / "expected").write_text(_digest(settings))
        shutil.rmtree(folder / "original")
        empty_project(folder / "clone")

    def enter(self, folder: Path) -> None:
        """What a person does: restore, unless it is done."""
        restoring.find_leftovers = lambda _: (
            set()
        )  # it opens a file for each process of the machine: no two traces alike
        settings = _clone(folder)
        if _is_left_over(settings) or not _placed(settings):
            restore(settings, folder / "backup", unheard)
        if _digest(settings) != (folder / "expected").read_text():
            raise Corrupt("the restored project is not the one that was backed up.")

    def violations(self, folder: Path) -> list[str]:
        """Nothing is there, or everything is; what is between is marked, and the ledger is not there yet."""
        settings = _clone(folder)
        placed, wrong = _placed(settings), []
        if placed and not _is_left_over(settings) and _digest(settings) != (folder / "expected").read_text():
            wrong.append(f"{sorted(placed)} are there, and nothing says that a restore was interrupted")
        if "state/ledger.db" in placed and len(placed) < len(pieces(settings)):
            wrong.append("the ledger is there before what it names")
        return wrong

    def state(self, folder: Path) -> Any:
        return _digest(_clone(folder))


def _clone(folder: Path) -> Settings:
    return load_settings(folder / "clone", with_stack=False)


def _is_left_over(settings: Settings) -> bool:
    return (find_paths(settings.project, settings.state_dir).restoring / VERIFIED).exists()


def _placed(settings: Settings) -> set[str]:
    return {piece.name for piece in pieces(settings) if piece.path.exists()}


def _digest(settings: Settings) -> str:
    found = {name: value.hex() if isinstance(value, bytes) else value for name, value in everything(settings).items()}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
