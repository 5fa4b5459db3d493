"""What a drill is, and how it is run: steady state, fault, recovery, verdict."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from koboshi.drills.fault import Strike
from koboshi.errors import KoboshiError

Verdict = Literal["proved", "refuted", "unknown"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in a sentence."""

    check: str
    holds: bool
    said: str


class Scene(Protocol):
    """What a drill works on: something of its own that runs in the background, and what it must leave alone."""

    def begin(self) -> None:
        """Prepare the drill's own work, and start it in the background."""

    def finish(self, limit_s: float) -> Finding:
        """Wait for the end of the work; a failure, or no end in time, is a finding that does not hold."""

    def bystanders(self) -> Mapping[str, str]:
        """Fingerprints of what belongs to the user: names, and digests that may not change."""

    def measures(self, strike: Strike) -> Mapping[str, float]:
        """What is measured, once all is over: `detected_after_s`, `recovered_after_s` and the drill's own."""


SceneT = TypeVar("SceneT", bound=Scene)


@dataclasses.dataclass(frozen=True, slots=True)
class Drill(Generic[SceneT]):
    """A claim and how it is put to the test. `strike` returns None when it found no moment to strike."""

    name: str
    claim: str
    fault: str
    steady: Sequence[Callable[[SceneT], Finding]]
    strike: Callable[[SceneT], Strike | None]
    within_s: float
    verdict: Sequence[Callable[[SceneT, Strike], Finding]]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill came to: `proved` only when the fault struck and every finding holds."""

    verdict: Verdict
    findings: Sequence[Finding]
    strike: Strike | None = None
    measures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def reasons(self) -> list[str]:
        """Why it is not proved."""
        return [finding.said for finding in self.findings if not finding.holds]

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return dataclasses.asdict(self)


def run_drill(drill: Drill[SceneT], scene: SceneT, say: Callable[[str], None]) -> Outcome:
    """Run a drill: `unknown` when the steady state was not there or the fault could not strike, so nothing was tested.

    Under an interruption: nothing of the user's was touched, since the scene is the drill's own.
    """
    steady = [_ask(check.__name__, lambda check=check: check(scene)) for check in drill.steady]  # type: ignore[misc]
    for finding in steady:
        say(f"steady state: {finding.said}")
    if not all(finding.holds for finding in steady):
        return Outcome("unknown", steady)
    before = scene.bystanders()
    scene.begin()
    strike = drill.strike(scene)
    say(str(strike) if strike else "the fault found no moment to strike")
    ended = scene.finish(drill.within_s)
    if strike is None:
        return Outcome("unknown", [*steady, ended, Finding("strike", False, "the fault found no moment to strike")])
    findings = [ended]
    if ended.holds:
        findings += [_ask(c.__name__, lambda c=c: c(scene, strike)) for c in drill.verdict]  # type: ignore[misc]
    findings.append(_untouched(before, scene.bystanders()))
    verdict: Verdict = "proved" if all(finding.holds for finding in findings) else "refuted"
    return Outcome(verdict, [*steady, *findings], strike, _measured(scene, strike))


def _ask(check: str, question: Callable[[], Finding]) -> Finding:
    """A check that cannot be made does not hold."""
    try:
        return question()
    except KoboshiError as error:
        return Finding(check, False, str(error))


def _measured(scene: Scene, strike: Strike) -> Mapping[str, float]:
    """What cannot be measured is left out: the verdict does not depend on it."""
    try:
        return scene.measures(strike)
    except KoboshiError:
        return {}


def _untouched(before: Mapping[str, str], after: Mapping[str, str]) -> Finding:
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    said = (
        f"{', '.join(changed)} changed during the drill" if changed else f"{len(before)} things of yours are as before"
    )
    return Finding("bystanders_untouched", not changed, said)
