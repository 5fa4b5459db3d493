"""A plugin of pytest (`-p tests.support.unread_modules`) that finds the files of tests, and imports none of them.

Each file has one item: which session has which files is decided before anything is imported.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest


class Unread(pytest.Item):
    def runtest(self) -> None:
        """Nothing: these items are only collected."""


class UnreadModule(pytest.Module):
    def collect(self) -> Iterator[pytest.Item]:  # type: ignore[override]
        yield Unread.from_parent(self, name="unread")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> UnreadModule:
    return UnreadModule.from_parent(parent, path=module_path)
