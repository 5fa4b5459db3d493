"""What differs from the committed parameters, in words."""

from pathlib import Path
from typing import Any

import pytest

from koboshi.parameters import ORIGIN, differences, home_of

COMMITTED = {"train": {"seed": 0, "rate": 1e-05, "exact": True}, "split": {"start": "2018-07-25"}, "gone": [1, 2]}


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ({**COMMITTED, "train": {"seed": 7, "rate": 1e-05, "exact": True}}, {"train.seed": "0 → 7"}),
        ({**COMMITTED, "split": {"start": "2018-07-26"}}, {"split.start": "2018-07-25 → 2018-07-26"}),
        ({**COMMITTED, "train": {"seed": 0, "rate": 1e-05, "exact": False}}, {"train.exact": "true → false"}),
        ({**COMMITTED, "new": None}, {"new": "(none) → null"}),
        ({name: COMMITTED[name] for name in ("train", "split")}, {"gone": "[1, 2] → (none)"}),
        (COMMITTED, {}),
    ],
)
def test_a_difference_has_both_values(present: dict[str, Any], said: dict[str, str]) -> None:
    assert differences(COMMITTED, present) == said


def test_a_long_value_is_cut() -> None:
    """Its name tells where to look."""
    (said,) = differences({"a": "x"}, {"a": "y" * 200}).values()
    assert said == "x → " + "y" * 79 + "…"


def test_a_workspace_knows_its_project(tmp_path: Path) -> None:
    """Any other folder is its own."""
    assert home_of(tmp_path) == tmp_path
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ORIGIN).write_text("/somewhere/my project\n")
    assert home_of(tmp_path) == Path("/somewhere/my project")
