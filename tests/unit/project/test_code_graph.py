"""What changes the digest of a function, and what does not: a training is done again for the first only (I6)."""

from pathlib import Path

import pytest

from koboshi.project.code_graph import Code, code_of, files_of, own_modules

MODULE = '''
import json
from shapes import area
import shapes as sh
import polars as pl

FACTOR = 2
UNUSED = 3


def helper(x):
    """Twice."""
    return FACTOR * x


def stage(out):
    """Make it."""
    return helper(area(1)) + sh.perimeter(2)


def metric(a, b):
    return a - b


class Unit:
    size = FACTOR

    def step(self, number):
        return pl.DataFrame({"x": [self.size]})


def lazily():
    from shapes import area as inner

    return inner(3)


if FACTOR > 1:
    def chosen():
        return 1
else:
    def chosen():
        return 2
'''
SHAPES = """
PI = 3


def area(r):
    return PI * r * r


def perimeter(r):
    return 2 * PI * r


def unrelated():
    return 0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(MODULE)
    (tmp_path / "shapes.py").write_text(SHAPES)
    return tmp_path


def code(project: Path, name: str = "flow:stage") -> Code:
    return code_of(project, [name])


def edit(project: Path, old: str, new: str, file: str = "flow.py") -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("flow.py", "helper(area(1))", "helper(area(2))"),
        ("flow.py", "return FACTOR * x", "return FACTOR + x"),
        ("flow.py", "FACTOR = 2", "FACTOR = 4"),
        ("shapes.py", "PI * r * r", "PI * r"),
        ("shapes.py", "PI = 3", "PI = 4"),
        ("shapes.py", "2 * PI * r", "PI * r"),
    ],
)
def test_each_definition_that_is_reached_counts(project: Path, file: str, old: str, new: str) -> None:
    before = code(project)
    edit(project, old, new, file)
    assert code(project).sha256 != before.sha256


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("flow.py", "return a - b", "return b - a"),
        ("flow.py", "UNUSED = 3", "UNUSED = 5"),
        ("flow.py", '"""Make it."""', '"""Another sentence."""'),
        ("flow.py", "def stage(out):", "# a comment\n\n\ndef stage(out):"),
        ("flow.py", "return 2\n", "return 5\n"),
        ("shapes.py", "return 0", "return 1"),
    ],
)
def test_comments_docstrings_and_what_is_not_reached_do_not_count(project: Path, file: str, old: str, new: str) -> None:
    before = code(project)
    edit(project, old, new, file)
    assert code(project) == before


def test_the_order_of_definitions_does_not_count(project: Path) -> None:
    before = code(project)
    (project / "shapes.py").write_text(SHAPES.replace("def unrelated", "def last") + "\n")
    first, *rest = SHAPES.split("\n\n\n")
    (project / "shapes.py").write_text("\n\n\n".join([first, *reversed(rest)]))
    assert code(project) == before


def test_a_name_of_its_own_in_another_module_does_not_count(project: Path) -> None:
    before = code(project)
    edit(project, "UNUSED = 3", "UNUSED = 3\n\n\ndef area_of(x):\n    return x")
    assert code(project) == before


def test_a_class_counts_with_what_its_methods_reach(project: Path) -> None:
    before = code(project, "flow:Unit")
    edit(project, "FACTOR = 2", "FACTOR = 7")
    assert code(project, "flow:Unit").sha256 != before.sha256
    assert "polars" in before.distributions
    assert "polars" not in code(project).distributions


def test_an_import_inside_of_a_function_is_followed(project: Path) -> None:
    before = code(project, "flow:lazily")
    edit(project, "PI = 3", "PI = 4", "shapes.py")
    assert code(project, "flow:lazily").sha256 != before.sha256


def test_the_module_behind_a_fallback_is_followed(project: Path) -> None:
    edit(project, "import shapes as sh", "try:\n    import shapes as sh\nexcept ImportError:\n    sh = None")
    before = code(project)
    edit(project, "return 0", "return 1", "shapes.py")
    assert code(project) == before
    edit(project, "2 * PI * r", "PI * r", "shapes.py")
    assert code(project) != before


def test_both_sides_of_a_condition_count(project: Path) -> None:
    before = code(project, "flow:chosen")
    edit(project, "        return 2", "        return 9")
    assert code(project, "flow:chosen").sha256 != before.sha256


def test_relative_imports_packages_and_stars_are_followed(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import deep\n")
    (package / "inner.py").write_text("from .constants import *\n\n\ndef deep():\n    return LIMIT\n")
    (package / "constants.py").write_text("LIMIT = 1\n")
    (tmp_path / "flow.py").write_text("import pack\n\n\ndef stage(out):\n    return pack.deep()\n")
    before = code(tmp_path)
    (package / "constants.py").write_text("LIMIT = 2\n")
    assert code(tmp_path).sha256 != before.sha256
    assert [path.name for path in files_of(tmp_path, "flow")] == ["flow.py", "__init__.py", "constants.py", "inner.py"]


def test_a_whole_module_that_is_handed_on_counts_as_a_whole(project: Path) -> None:
    edit(project, "def lazily", "def whole():\n    return vars(sh)\n\n\ndef lazily")
    before = code(project, "flow:whole")
    edit(project, "return 0", "return 1", "shapes.py")
    assert code(project, "flow:whole").sha256 != before.sha256


def test_of_koboshis_own_modules_those_count_that_shape_bytes() -> None:
    reached = own_modules("koboshi.training.sklearn_units")
    assert {
        "koboshi.training.sklearn_units",
        "koboshi.training.sklearn_recipes",
        "koboshi.training.pandas_rows",
    } <= set(reached)
    assert not {name for name in reached if name.startswith(("koboshi.ledger", "koboshi.settings", "koboshi.files"))}


def test_the_units_of_koboshi_bring_the_libraries_that_they_import(tmp_path: Path) -> None:
    found = code_of(tmp_path, ["koboshi.training.sklearn_units:trees"]).distributions
    assert {"scikit-learn", "numpy", "scipy", "pandas", "koboshi", "python"} <= set(found)
    assert "apache-airflow" not in found
