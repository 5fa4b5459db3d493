"""`make test-unit` leaves no test out, and runs none twice."""

from pathlib import Path

from tools.run_tests import ROOT
from tools.run_unit_tests import FOLDER, LEARNING, commands


def chosen_by(command: list[str]) -> set[Path]:
    """The test files that pytest collects: below the folders that are named, without those that are ignored."""
    ignored = [ROOT / word.partition("=")[2] for word in command if word.startswith("--ignore=")]
    named = [ROOT / word for word in command if word.startswith(str(FOLDER))]
    files = {file for folder in named for file in folder.rglob("test_*.py")}
    return {file for file in files if not any(file.is_relative_to(folder) for folder in ignored)}


def test_each_test_file_is_in_exactly_one_session() -> None:
    learning, others = map(chosen_by, commands([]))
    assert learning | others == set((ROOT / FOLDER).rglob("test_*.py"))
    assert learning & others == set()
    assert all((ROOT / folder).is_dir() for folder in LEARNING)


def test_what_is_asked_for_goes_to_both() -> None:
    assert all("--exitfirst" in command for command in commands(["--exitfirst"]))
