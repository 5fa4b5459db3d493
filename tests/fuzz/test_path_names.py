"""Names from outside that become paths, generated: each is strictly inside its folder, or refused."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from koboshi.errors import BadInput
from koboshi.formats.span_files import partition_folder
from koboshi.names import NAME_BYTES, PART_BYTES, one_part, parts_below
from koboshi.training.checkpoints import run_folder
from tests.support.fuzzing import fuzzed

FOLDER = PurePosixPath("/state/folder")
# Text that means something in a path, among any text.
pieces = st.sampled_from(["..", ".", "/", "//", "\0", "a", "é", "x" * 200, "~", "\\", "\n", " ", "-", "\ud800"])
names = st.text() | st.lists(pieces, max_size=8).map("".join)


def strictly_inside(path: PurePosixPath, folder: PurePosixPath) -> bool:
    """Without a look at any disk: no part leads up, and something follows the folder."""
    return path.is_relative_to(folder) and path != folder and not {"..", "."} & set(path.relative_to(folder).parts)


@fuzzed
@given(names)
@example("..")
@example("../../escape")
@example("/etc/passwd")
@example("")
@example("a\0b")
@example("x" * (PART_BYTES + 1))
@example("x/" * NAME_BYTES + "x")
def test_a_name_is_a_path_strictly_inside_the_folder_or_refused(name: str) -> None:
    """Whatever is joined to a folder stays below it, takes the way that the name says, and can be a file's name."""
    for check in (one_part, parts_below):
        try:
            checked = check(name, "the name")
        except BadInput:
            continue
        path = FOLDER / checked
        assert strictly_inside(path, FOLDER)
        assert checked == name == path.relative_to(FOLDER).as_posix()
        assert all(0 < len(part.encode()) <= PART_BYTES and "\0" not in part for part in path.parts)


@fuzzed
@given(names, names)
def test_checkpoints_and_spans_stay_below_their_folders(one: str, other: str) -> None:
    """The doors that use it: a run's key and a unit's name in the checkpoint store, a topic among the spans."""
    for door in (lambda: run_folder(one, other), lambda: run_folder(one), lambda: partition_folder(one, 3).as_posix()):
        try:
            path = door()
        except BadInput:
            continue
        assert strictly_inside(FOLDER / path, FOLDER)


@pytest.mark.parametrize("unit", ["forest", "model/0", "max_depth=3,trees_a_step=10", "fold-1", ".hidden", "a b", "é"])
def test_a_name_that_was_safe_keeps_its_path(unit: str) -> None:
    """Checkpoints that are on disk stay where they are looked for."""
    assert run_folder("0123456789abcdef0123", unit) == f"0123456789abcdef/{unit}"
    assert partition_folder("orders.v1_x-y", 2) == Path("spans/orders.v1_x-y/2")
