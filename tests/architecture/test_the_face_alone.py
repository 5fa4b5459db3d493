"""What a project writes imports the face, and nothing behind it: so everything else may change."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import koboshi

ROOT = Path(__file__).resolve().parents[2]
FACE = {"koboshi", "koboshi.airflow", "koboshi.drills", "koboshi.streams", "koboshi.testing"}
FILES = sorted(path for folder in ("dags", "pipelines", "ray_jobs") for path in (ROOT / folder).glob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [alias.name for alias in node.names]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_projects_file_imports_the_face_alone(path: Path) -> None:
    for module, names in imported(path):
        if module.split(".")[0] == "koboshi":
            assert module in FACE, f"{path.name} imports {module}"
            assert module != "koboshi" or set(names) <= set(koboshi.__all__), f"{path.name} imports {names}"


def test_each_name_of_the_face_is_there() -> None:
    assert set(koboshi.__all__) == set(koboshi.FACE)
    for name in koboshi.__all__:
        assert getattr(koboshi, name) is not None
