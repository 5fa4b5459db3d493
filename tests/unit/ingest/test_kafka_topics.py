"""When a topic that is there is the one that is wanted."""

import pytest

from koboshi.ingest.kafka_topics import FOR_EVER, Topic, differences


@pytest.mark.parametrize(
    ("partitions", "retention_ms", "told"),
    [
        (4, FOR_EVER, []),
        (4, None, []),  # a client that may not see it
        (2, FOR_EVER, ["2 partitions, not 4"]),
        (2, 1_000, ["2 partitions, not 4", "retention.ms=1000, not -1"]),
    ],
)
def test_settings_that_differ_are_named(partitions: int, retention_ms: int | None, told: list[str]) -> None:
    assert differences(Topic("orders", partitions, 1, 0, retention_ms), 4, FOR_EVER) == told
