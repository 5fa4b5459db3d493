"""Another kind of stream is one file, `<kind>_source.py`, found by the address."""

import sys
from types import ModuleType

import pytest

from koboshi.ingest import kafka_source, source
from tests.support.memory_stream import MemoryStream


def test_the_kinds_are_those_that_there_is_a_file_for() -> None:
    assert source.KINDS == ("kafka",)


def test_a_source_is_opened_by_the_kind_in_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, module = MemoryStream(), ModuleType("koboshi.ingest.memory_source")
    module.open_source = {"memory://here": stream}.__getitem__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(source, "KINDS", ("kafka", "memory"))
    assert source.open_source("memory://here") is stream


@pytest.mark.parametrize("address", ["broker:9092", "one:9092,other:9092", "http://broker:9092"])
def test_what_names_no_kind_is_an_address_of_kafka(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is one, Kafka's own source says."""
    monkeypatch.setattr(kafka_source, "KafkaSource", lambda given: f"Kafka at {given}")
    assert source.open_source(address) == f"Kafka at {address}"


def test_a_source_that_knows_no_transactions_tells_none() -> None:
    assert source.open_transactions(MemoryStream(), []) == []
