"""Repair: take away what is not as it was made, so that `dvc repro` makes it again."""

from pathlib import Path

from koboshi.datasets import dvc_cache, manifest
from koboshi.errors import BadInput, Corrupt


def repair(project: Path) -> list[Path]:
    """Remove changed objects of DVC's cache and datasets with a changed byte; return what was removed.

    Safe to run again, and under a crash: each removal stands for itself, and what is gone is rebuilt by `dvc repro`.
    """
    removed = dvc_cache.remove_changed_objects(project)
    for output in dvc_cache.outputs(project):
        if output.path.is_dir() and not _is_intact(output.path):
            dvc_cache.remove_output(output)
            removed.append(output.path)
    return removed


def _is_intact(folder: Path) -> bool:
    try:
        manifest.open_verified(folder)
    except Corrupt:
        return False
    except BadInput:
        return not (folder / manifest.FILE).exists()
    return True
