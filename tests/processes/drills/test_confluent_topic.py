"""A broker that is not there ends a drill within a bounded time."""

import pytest

from koboshi.drills.kit.confluent_topic import OwnTopic
from koboshi.errors import Unavailable


def test_a_broker_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bounded time, whatever is asked of it."""
    monkeypatch.setattr("koboshi.drills.kit.confluent_topic.PATIENCE_S", 0.3)
    topic = OwnTopic("127.0.0.1:9", "t", 1)
    for ask in (topic.make, topic.ends, topic.delete):
        with pytest.raises(Unavailable, match="see `koboshi status`"):
            ask()
    with pytest.raises(Unavailable, match="does not take all records"):
        topic.fill([(0, None, b"x")])
