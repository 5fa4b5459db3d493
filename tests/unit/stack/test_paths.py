"""What can be refused is refused before anything is started, in one sentence."""

import stat
from pathlib import Path

import pytest

from koboshi.errors import NotConfigured
from koboshi.stack import paths as module
from koboshi.stack.paths import (
    StackPaths,
    check_free_disk,
    check_socket_length,
    find_paths,
    prepare_paths,
    remove_runtime,
    state_dir_of_stack,
)


def test_a_path_too_long_for_sockets_is_refused() -> None:
    """Ray would fail minutes later, with a page of its own words."""
    check_socket_length(Path("/tmp/koboshi-1000/0a1b2c3d"))
    with pytest.raises(NotConfigured, match="set TMPDIR to a shorter one"):
        check_socket_length(Path("/home/somebody/very/long/temporary/folder/koboshi-1000/0a1b2c3d"))


def test_a_nearly_full_disk_is_refused() -> None:
    """It says how much is free, and what to do."""
    check_free_disk(10 * 1024**3, Path("/x"))
    with pytest.raises(NotConfigured, match=r"only 0.5 GB are free under /x.*set KOBOSHI_STATE_DIR"):
        check_free_disk(1024**3 // 2, Path("/x"))


def test_the_runtime_folder_is_private_remembered_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed TMPDIR does not lose a running stack; nothing stays outside of the state folder."""
    monkeypatch.setattr(module, "check_socket_length", lambda _path: None)
    monkeypatch.setattr(module, "runtime_root", lambda: tmp_path / "temporary" / "koboshi-0")
    paths = find_paths(tmp_path, tmp_path / "state")
    prepare_paths(paths)
    assert stat.S_IMODE(paths.runtime.stat().st_mode) == 0o700
    monkeypatch.setattr(module, "runtime_root", lambda: tmp_path / "elsewhere")
    assert find_paths(tmp_path, tmp_path / "state") == paths
    remove_runtime(paths)
    assert not paths.runtime.parent.exists()


def test_the_state_folder_of_a_projects_stack_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where koboshi.toml can no longer tell: as long as one stack of the project is up, and not after `down`."""
    monkeypatch.setattr(module, "check_socket_length", lambda _path: None)
    monkeypatch.setattr(module, "runtime_root", lambda: tmp_path / "koboshi-0")
    mine, others = tmp_path / "mine", tmp_path / "others"
    paths = [find_paths(project, project / "state") for project in (mine, others)]
    assert state_dir_of_stack(mine) is None
    for one in paths:
        prepare_paths(one)
    assert state_dir_of_stack(mine) == mine / "state"
    second = find_paths(mine, tmp_path / "second")
    prepare_paths(second)
    assert state_dir_of_stack(mine) is None
    remove_runtime(second)
    assert state_dir_of_stack(mine) == mine / "state"
    remove_runtime(paths[0])
    assert state_dir_of_stack(mine) is None


def test_two_state_folders_have_two_runtime_folders(tmp_path: Path) -> None:
    """So two clones have two stacks, and each process says whose it is."""
    first, second = (find_paths(tmp_path, tmp_path / name) for name in "ab")
    assert first.stack_id != second.stack_id


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets in it could be listened to."""
    monkeypatch.setattr(module, "check_socket_length", lambda _path: None)
    monkeypatch.setattr(module.os, "getuid", lambda: 4711)
    paths = StackPaths(tmp_path, tmp_path / "state", tmp_path / "run" / "x")
    with pytest.raises(NotConfigured, match="belongs to user"):
        prepare_paths(paths)
