"""The stack as a user meets it."""

import pytest

from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.stack


def test_up_returns_when_every_part_has_done_real_work(stack: RunningStack) -> None:
    """`koboshi up` gives every part's address, and nothing listens beyond this machine."""
    settings = stack.settings
    assert settings.kafka.bootstrap_servers
    assert settings.gateway.url
