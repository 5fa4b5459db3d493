"""The serving drills' environments, without processes: what they make of answers and of what replicas said."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.kit.aiohttp_load import Answer
from koboshi.drills.serving import network_cut_serving
from koboshi.drills.serving.bad_version import ReleaseEnvironment
from koboshi.drills.serving.replica_environment import ServingEnvironment
from koboshi.errors import BadInput
from koboshi.settings import Settings, load_settings

INJECTION = Injection("SIGKILL", "replica-2", at_s=10.0, at_monotonic=0.0, took=True)
REPLICAS = {"replica-1": 1, "replica-2": 2, "replica-3": 3}


@dataclasses.dataclass
class Answered:
    """A load that is over."""

    answers: list[Answer]

    def stop(self) -> None:
        """There is nothing to stop."""


@dataclasses.dataclass
class Watched:
    """What the gateway showed."""

    def first_trouble(self, _after_s: float) -> float:
        return 10.2

    def changes(self) -> list[tuple[float, bool]]:
        return [(10.3, False), (14.0, True)]

    def stop(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "koboshi.toml").write_text("")
    return load_settings(tmp_path)


def answers(count: int = 200) -> list[Answer]:
    """Ten a second; replica-2 is silent from 10 to 15 s, what it was asked took another try."""
    made = []
    for number in range(count):
        due, silent = number / 10, 10 < number / 10 < 15
        name = ("replica-1", "replica-2", "replica-3")[number % 3]
        tries = 2 if silent and name == "replica-2" else 1
        name = "replica-3" if tries == 2 else name
        made.append(Answer(due, 0.01 * tries, 200, right=True, replica=name, version="1", rows=1, tries=tries))
    return made


class Replicas(ServingEnvironment):
    """A environment whose replicas need no stack."""

    replicas = REPLICAS  # type: ignore[assignment]


def environment_with(settings: Settings, given: Sequence[Answer], **options: Any) -> Replicas:
    environment = Replicas(settings, lambda _: None, **options)
    environment._load, environment._watch = Answered(list(given)), Watched()  # type: ignore[assignment]
    return environment


def test_the_measures_are_those_of_the_client_and_of_the_gateways_counters(settings: Settings) -> None:
    evidence = environment_with(settings, answers()).evidence([INJECTION])
    assert evidence.measures["detected_after_s"] == pytest.approx(0.2)
    assert 5.0 < evidence.measures["recovered_after_s"] < 5.4
    assert (evidence.measures["lost"], evidence.measures["doubled"], evidence.measures["wrong"]) == (0, 0, 0)
    assert evidence.measures["redone"] == sum(answer.tries - 1 for answer in answers()) > 0
    assert evidence.measures["slowest_ms"] == 20
    assert [event.kind for event in evidence.events] == ["suspicion", "note", "note", "recovery"]


def test_what_is_lost_wrong_or_doubled_is_counted(settings: Settings) -> None:
    """An error, a prediction with another bit, and an answer with more rows than were asked for."""
    given = answers()
    given[0] = dataclasses.replace(given[0], status=503)
    given[1] = dataclasses.replace(given[1], right=False)
    given[2] = dataclasses.replace(given[2], rows=2)
    measures = environment_with(settings, given).evidence([INJECTION]).measures
    assert (measures["lost"], measures["wrong"], measures["doubled"]) == (1, 1, 1)


def test_a_load_that_does_not_go_on_is_told_after_a_bounded_time(settings: Settings) -> None:
    """Nothing was asked after the injection: the finding does not hold, and what was stopped may go on."""
    environment, healed = environment_with(settings, answers()), []
    environment.heals_by(lambda: healed.append(1))
    finding = environment.finish(0.1)
    assert not finding.holds
    assert finding.said.endswith("of at least 5,000")
    environment.close(keep_files=False)
    environment.close(keep_files=False)
    assert healed == [1]


def test_the_share_of_the_victim_is_that_of_the_last_answers(settings: Settings) -> None:
    environment = environment_with(settings, answers())
    assert (environment.victim, environment.fair_share) == ("replica-2", 1 / 3)
    environment.finish(0.1)
    assert 0.2 < environment.final_share < environment.fair_share


def test_before_its_begin_there_is_nothing_to_ask(settings: Settings) -> None:
    with pytest.raises(BadInput, match="has not begun"):
        _ = Replicas(settings, lambda _: None).gateway
    with pytest.raises(BadInput, match="has not begun"):
        _ = network_cut_serving.DRILL.environment(settings, lambda _: None).proxy


def said(version: int | None, refused: int | None = None) -> dict[str, Any]:
    return {"version": version, "refused": {"version": refused, "cause": f"because of {refused}"} if refused else None}


def released(settings: Settings) -> ReleaseEnvironment:
    """Both replicas refuse 2 and 3, and take 4."""
    environment = ReleaseEnvironment(settings, lambda _: None)
    told = [(9, said(1)), (11, said(1, 2)), (13, said(1, 3)), (17, said(4))]
    environment.seen = [(at, name, state) for at, state in told for name in environment.ports]
    versions = [("1", 9), ("1", 12), ("4", 17), ("4", 18)]
    environment._load = Answered([Answer(at, 0.1, 200, right=True, version=v) for v, at in versions])  # type: ignore[assignment]
    environment.released_s = 15.0
    return environment


def test_what_replicas_said_of_versions_is_kept(settings: Settings) -> None:
    environment = released(settings)
    assert environment.refusals(2) == {"replica-1": "because of 2", "replica-2": "because of 2"}
    assert environment.refusals(4) == {}
    assert environment.serve(4)
    assert not environment.serve(1)


def test_a_release_is_measured_from_the_first_bad_version_on(settings: Settings) -> None:
    """To the first refusal, and to the first answer of the good version; each refusal is told once."""
    evidence = released(settings).evidence([INJECTION])
    assert evidence.measures["detected_after_s"] == 1
    assert evidence.measures["recovered_after_s"] == pytest.approx(7.1)
    kinds = [event.kind for event in evidence.events]
    assert kinds == ["suspicion"] * 4 + ["note"] + ["recovery"] * 2
