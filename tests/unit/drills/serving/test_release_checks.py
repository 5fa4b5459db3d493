"""Each check of bad-version can fail, for its own reason."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.kit.aiohttp_load import Answer
from koboshi.drills.serving import bad_version
from koboshi.drills.serving.bad_version import (
    bad_versions_are_refused,
    bad_versions_never_answer,
    good_version_is_taken,
    registry_answers,
)
from koboshi.probes import Health

TOOK = Injection("flipped byte", "the artefact of version 2", 1.0, 1.0, took=True)


@dataclasses.dataclass
class Environment:
    """What the checks look at."""

    ports: dict[str, int] = dataclasses.field(default_factory=lambda: {"replica-1": 1, "replica-2": 2})
    told: dict[int, dict[str, str]] = dataclasses.field(
        default_factory=lambda: {
            2: {"replica-1": "digest", "replica-2": "digest"},
            3: {"replica-1": "example", "replica-2": "example"},
        }
    )
    answers: list[Answer] = dataclasses.field(
        default_factory=lambda: [Answer(0, 0, 200, right=True, version=version) for version in ("1", "4")]
    )
    serving: int = 4

    def refusals(self, version: int) -> dict[str, str]:
        return self.told[version]

    def serve(self, version: int) -> bool:
        return self.serving == version


def failing(environment: Any, injection: Injection = TOOK) -> dict[str, str]:
    checks = (bad_versions_are_refused, bad_versions_never_answer, good_version_is_taken)
    findings = [check(environment, [injection]) for check in checks]
    return {finding.check: finding.said for finding in findings if not finding.holds}


def test_good_evidence_holds() -> None:
    assert failing(Environment()) == {}


def test_a_replica_that_refuses_for_another_reason() -> None:
    """A version that could not even be loaded says nothing of the digest's check."""
    environment = Environment()
    environment.told[2]["replica-2"] = "load"
    assert failing(environment) == {
        "bad_versions_are_refused": "replica-2 did not refuse version 2 because of its bytes"
    }


def test_a_replica_that_says_nothing_of_a_version() -> None:
    environment = Environment()
    del environment.told[3]["replica-1"]
    said = "replica-1 did not refuse version 3 because of its answers"
    assert failing(environment) == {"bad_versions_are_refused": said}


def test_a_fault_that_did_not_take() -> None:
    assert set(failing(Environment(), dataclasses.replace(TOOK, took=False))) == {"bad_versions_are_refused"}


def test_one_prediction_of_a_bad_version() -> None:
    environment = Environment()
    environment.answers.append(Answer(0, 0, 200, right=False, version="3"))
    assert failing(environment) == {"bad_versions_never_answer": "1 predictions came from version 3"}


@pytest.mark.parametrize(("serving", "answered"), [(1, True), (4, False)])
def test_a_good_version_that_is_not_taken(serving: int, answered: bool) -> None:
    """Every replica has to say so, and it has to answer."""
    environment = Environment(serving=serving)
    environment.answers = environment.answers if answered else environment.answers[:1]
    assert set(failing(environment)) == {"good_version_is_taken"}


@pytest.mark.parametrize(("ok", "here", "holds"), [(True, True, True), (False, True, False), (True, False, False)])
def test_the_registry_has_to_answer_and_its_files_have_to_be_here(
    ok: bool, here: bool, holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad_version, "probe_mlflow", lambda _uri: Health(ok, "detail"))
    if here:
        (tmp_path / "mlflow").mkdir()
    settings = SimpleNamespace(mlflow=SimpleNamespace(tracking_uri="http://x"), state_dir=tmp_path)
    environment: Any = SimpleNamespace(settings=settings, artefacts=tmp_path / "mlflow" / "artifacts")
    assert registry_answers(environment).holds is holds
