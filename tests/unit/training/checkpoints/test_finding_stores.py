"""A store of checkpoints is one file, which is found by the scheme of its URL."""

import sys
from pathlib import Path
from typing import Any

import pytest

from koboshi.training import checkpoints

TOY = "def open_store(url):\n    return ('toy', url)\n"


def test_a_new_store_is_one_file_that_has_its_schemes_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_store.py").write_text(TOY)
    monkeypatch.setattr(checkpoints, "__path__", [*checkpoints.__path__, str(tmp_path)])
    monkeypatch.setitem(sys.modules, "koboshi.training.checkpoints.toy_store", None)
    monkeypatch.delitem(sys.modules, "koboshi.training.checkpoints.toy_store")
    opened: Any = checkpoints.store_at.__wrapped__("toy://somewhere")
    assert opened == ("toy", "toy://somewhere")


@pytest.mark.parametrize("url", ["memory://x", "simplecache::memory://x"])
def test_any_other_scheme_is_fsspecs(url: str) -> None:
    assert type(checkpoints.store_at(url)).__name__ == "FsspecStore"


@pytest.mark.parametrize("url", ["folder", "/a/folder", "file:///a/folder"])
def test_a_folder_needs_no_scheme(url: str) -> None:
    assert type(checkpoints.store_at(url)).__name__ == "FolderStore"
