"""What a drill concludes: proved only when the steady state was there, the fault struck, and every check holds."""

from collections.abc import Callable, Mapping

import pytest

from koboshi.drills.drill import Drill, Finding, run_drill
from koboshi.drills.fault import Strike
from koboshi.errors import Unavailable

STRIKE = Strike(7, "working", 0.2, 100.0, 10.0, gone=True)


class Toy:
    """A scene that is as the test wants it."""

    def __init__(self, *, ends: bool = True, spills: bool = False) -> None:
        self.ends, self.spills, self.begun = ends, spills, False

    def begin(self) -> None:
        self.begun = True

    def finish(self, limit_s: float) -> Finding:
        return Finding("ended", self.ends, f"it {'ended' if self.ends else 'hung'} within {limit_s:.0f} s")

    def bystanders(self) -> Mapping[str, str]:
        return {"dataset": "other" if self.begun and self.spills else "same"}

    def measures(self, strike: Strike) -> Mapping[str, float]:
        return {"detected_after_s": strike.at_monotonic}


def good(*_: object) -> Finding:
    return Finding("good", True, "all is well")


def bad(*_: object) -> Finding:
    return Finding("bad", False, "predictions differ")


def away(*_: object) -> Finding:
    raise Unavailable("Ray does not answer")


def drill(
    *,
    steady: Callable[..., Finding] = good,
    strike: Strike | None = STRIKE,
    verdict: tuple[Callable[..., Finding], ...] = (good,),
) -> Drill[Toy]:
    return Drill("toy", "It stands up again.", "a push", (steady,), lambda _scene: strike, 9, verdict)


def test_proved_when_everything_holds() -> None:
    said: list[str] = []
    outcome = run_drill(drill(), Toy(), said.append)
    assert outcome.verdict == "proved"
    assert outcome.reasons == []
    assert outcome.measures == {"detected_after_s": 10.0}
    assert said == ["steady state: all is well", "SIGKILL to process 7 (working), 0.20 s of work into it"]


@pytest.mark.parametrize("steady", [bad, away])
def test_unknown_and_nothing_touched_without_the_steady_state(steady: Callable[..., Finding]) -> None:
    scene = Toy()
    outcome = run_drill(drill(steady=steady), scene, lambda _line: None)
    assert outcome.verdict == "unknown"
    assert not scene.begun


def test_unknown_when_the_fault_could_not_strike() -> None:
    """Nothing was tested, so nothing is proved and nothing refuted, however well it ended."""
    outcome = run_drill(drill(strike=None), Toy(), lambda _line: None)
    assert outcome.verdict == "unknown"
    assert outcome.reasons == ["the fault found no moment to strike"]


@pytest.mark.parametrize(
    ("verdict", "reason"), [((good, bad), "predictions differ"), ((away, good), "Ray does not answer")]
)
def test_refuted_by_one_check_that_does_not_hold(verdict: tuple[Callable[..., Finding], ...], reason: str) -> None:
    """A check that cannot be made does not hold."""
    outcome = run_drill(drill(verdict=verdict), Toy(), lambda _line: None)
    assert outcome.verdict == "refuted"
    assert outcome.reasons == [reason]


def test_a_time_that_cannot_be_measured_changes_no_verdict() -> None:
    class Mute(Toy):
        def measures(self, strike: Strike) -> Mapping[str, float]:  # noqa: ARG002
            raise Unavailable("Ray does not answer")

    outcome = run_drill(drill(), Mute(), lambda _line: None)
    assert (outcome.verdict, outcome.measures) == ("proved", {})


def test_refuted_when_it_never_ends() -> None:
    outcome = run_drill(drill(), Toy(ends=False), lambda _line: None)
    assert outcome.verdict == "refuted"
    assert outcome.reasons == ["it hung within 9 s"]


def test_refuted_when_something_of_the_users_changed() -> None:
    outcome = run_drill(drill(), Toy(spills=True), lambda _line: None)
    assert outcome.verdict == "refuted"
    assert outcome.reasons == ["dataset changed during the drill"]
