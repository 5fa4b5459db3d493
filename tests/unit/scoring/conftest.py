"""Recorded models for all tests of the room: making one takes longer than scoring with it."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.scoring.batch import Order
from koboshi.scoring.model_version import Version, model_of
from koboshi.training import attach
from tests.support.scorings import recorded_version, small_order


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Version]:
    """`recorded("boosting")`, shared: a test that spoils an artefact takes a copy."""
    return functools.cache(lambda kind: recorded_version(tmp_path_factory.mktemp(kind), kind))


@pytest.fixture
def order(recorded: Callable[[str], Version], tmp_path: Path) -> Order:
    return small_order(tmp_path, recorded("boosting"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "POLL_S", 0.0)
    model_of.cache_clear()
