"""`koboshi init`: a project that runs as it stands.

Its files are those of `template/`: `.txt` is taken from a name, `dot_` stands for a dot, MODULE for the module.
"""

import keyword
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from koboshi.errors import BadInput
from koboshi.files import publish_bytes
from koboshi.project import dvc_file
from koboshi.project.project import load_project

TEMPLATE = Path(__file__).parent / "template"
DRILL_TEMPLATE = Path(__file__).parent / "template_drill" / "NAME.py.txt"
PLACE = "MODULE"


def make_project(folder: Path) -> list[Path]:
    """Write a new project into an absent or empty folder, with git and DVC initialised; its files.

    Under a crash: a folder that is not empty, which is refused the next time. Raises `BadInput`.
    """
    module = _module_name(folder.name)
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty: name a new folder.")
    for source in _files(TEMPLATE):
        name = source.relative_to(TEMPLATE).as_posix().removesuffix(".txt").replace("dot_", ".").replace(PLACE, module)
        publish_bytes(folder / name, source.read_bytes().replace(PLACE.encode(), module.encode()))
    dvc_file.sync(load_project(folder, module), module)
    _init_git(folder)
    return sorted(path.relative_to(folder) for path in _files(folder) if ".git" not in path.parts)


def make_drill(project: Path, name: str) -> Path:
    """Write a drill with its negative control into the project's folder drills/, as a beginning; its file.

    Raises `BadInput` for a name that is taken, or no module's.
    """
    path = project / "drills" / f"{_module_name(name)}.py"
    if path.exists():
        raise BadInput(f"{path} is there already: give the drill another name.")
    publish_bytes(
        path,
        DRILL_TEMPLATE.read_bytes().replace(b"DRILL:", f"{name}:".encode()).replace(b'"DRILL"', f'"{name}"'.encode()),
    )
    return path


def _module_name(name: str) -> str:
    module = name.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        raise BadInput(f"{name} cannot be the name of a Python module: use letters, digits and underscores.")
    return module


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _init_git(folder: Path) -> None:
    """A repository of its own, unless the folder is in one already."""
    if shutil.which("git") is None:
        raise BadInput("git is not installed, and DVC needs it: install git, then run `git init` in the new folder.")
    inside = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=folder, capture_output=True, check=False)
    if inside.returncode:
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
