"""A project of its own in a temporary folder: the committed pipeline, an empty state folder, small spans."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.running_stack import UNMEASURED

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("dvc.yaml", "params.yaml", "koboshi.toml", ".dvc/config", ".dvcignore", ".gitignore")
FOLDERS = ("pipelines", "ray_jobs", "src", ".dvc/plots")


def copy_project(folder: Path) -> Path:
    """Copy what `dvc repro` needs, and make it a git repository, as DVC expects."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


def run(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in a project, with nothing of the surrounding session's state.

    Without coverage: most of what `dvc repro` does is to import, and the datasets' code is measured in-process.
    """
    scripts = Path(sys.executable).parent
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KOBOSHI_", "DVC_"))}
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words,
        cwd=project,
        env={
            **clean,
            "PATH": path,
            "HOME": str(project / "home"),
            "PYTHONPATH": str(project),
            **UNMEASURED,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
