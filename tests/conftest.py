"""Fixtures for all tests: the shared stack, and system tools that may be absent."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import Phase, settings

from tests.support.running_stack import UNMEASURED, RunningStack, project_copy
from tools.run_tests import PURE, ROOT, is_marked

# Debian keeps PostgreSQL's programs where the path does not lead.
PATH = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
# The same examples in each run, here and in CI; `pytest --hypothesis-profile=default` looks for new ones. To explain a
# failure, Hypothesis traces each line, which takes minutes where a test does real work.
PHASES = [phase for phase in Phase if phase is not Phase.explain]
FIXED = settings(derandomize=True, deadline=None, database=None, phases=PHASES)
settings.register_profile("fixed", FIXED)
# A tenth of them, for `make test-unit`.
settings.register_profile("few", FIXED, max_examples=10)
# New ones each time, for `make fuzz`; a failure prints the seed that repeats it.
settings.register_profile("new", FIXED, derandomize=False, print_blob=True)
settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that need Airflow come last, since it costs a fifth of a core from its start on.

    A session of `make test` looks only into files that name its mark: a mark from elsewhere would leave a test out.
    """
    for name in ("stack", "parts"):
        for path in {item.path for item in items if item.get_closest_marker(name)}:
            if not is_marked(path, name):
                raise pytest.UsageError(f"{path} has tests with the mark {name}: write pytest.mark.{name} in that file")
    for item in items:
        if item.path.is_relative_to(ROOT) and item.path.relative_to(ROOT).as_posix().startswith(PURE):
            item.add_marker("pure")
    items.sort(key=lambda item: item.get_closest_marker("airflow") is not None)


@pytest.fixture(scope="session")
def stack_project() -> Iterator[RunningStack]:
    """A copy of the project, nothing started; whatever a test starts in it is ended, and that is checked."""
    with project_copy() as running:
        yield running


@pytest.fixture(scope="session")
def stack_of(stack_project: RunningStack) -> Callable[..., RunningStack]:
    """`stack_of("kafka", "mlflow")` is the shared stack with at least these parts, healthy."""

    def with_parts(*groups: str) -> RunningStack:
        stack_project.up(*groups)
        return stack_project

    return with_parts


@pytest.fixture(scope="session")
def stack(stack_of: Callable[..., RunningStack]) -> RunningStack:
    """The shared stack with all its parts, healthy."""
    return stack_of()


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test starts runs without coverage: for many processes that import much, of code that others measure."""
    for name, value in UNMEASURED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """`lacking("no …")` skips a test for what this machine lacks; with REQUIRE_TOOLS=1 the test fails."""

    def give_up(reason: str) -> NoReturn:
        if os.environ.get("REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return give_up


@pytest.fixture(scope="session")
def tool(lacking: Callable[[str], NoReturn]) -> Callable[[str], str]:
    """`tool("strace")` is its path. Where it is absent the test is skipped, or fails with REQUIRE_TOOLS=1."""

    def find(name: str) -> str:
        return shutil.which(name, path=PATH) or lacking(f"{name} is not installed: `make tools` installs it on Debian")

    return find
