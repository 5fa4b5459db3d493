"""The steady state of every drill that lands: a record can be written and read."""

from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.kit import confluent_topic
from koboshi.drills.kit.confluent_topic import kafka_works
from koboshi.probes import Health


@pytest.mark.parametrize("ok", [True, False])
def test_kafka_has_to_answer(ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confluent_topic, "probe_kafka", lambda _servers: Health(ok, "detail"))
    settings = SimpleNamespace(kafka=SimpleNamespace(bootstrap_servers="x:1"))
    environment: Any = SimpleNamespace(settings=settings)
    found = kafka_works(environment)
    assert (found.holds, found.said) == (ok, "Kafka: detail")
