"""The stacks that drills are run on. A job or a stage of a test is found beside the project's own modules."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.running_stack import RunningStack
from tests.support.tiny_champion import tiny_champion

StackOf = Callable[..., RunningStack]


@pytest.fixture
def on_kafka(stack_of: StackOf, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    """A stack whose landers can be killed."""
    running = stack_of("kafka")
    monkeypatch.syspath_prepend(running.project)
    return running


@pytest.fixture
def on_ray(stack_of: StackOf, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    """A stack whose trainings can be disturbed."""
    running = stack_of("ray")
    monkeypatch.syspath_prepend(running.project)
    return running


@pytest.fixture(scope="module")
def served(stack_of: StackOf) -> Iterator[RunningStack]:
    """A stack with a champion behind its gateway."""
    with tiny_champion(stack_of("mlflow", "replicas", "gateway")) as running:
        yield running
