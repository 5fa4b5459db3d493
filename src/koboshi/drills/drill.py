"""What a drill is, and how it is run: steady state, fault, recovery, verdict."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from koboshi.drills.evidence import Evidence, Finding
from koboshi.drills.strike import Strike
from koboshi.errors import KoboshiError
from koboshi.settings import Settings

Verdict = Literal["proved", "refuted", "unknown"]
Layer = Literal["stream", "ingest", "datasets", "training", "orchestration", "tracking", "serving"]
Say = Callable[[str], None]


class Scene(Protocol):
    """What a drill works on: something of its own that runs while it is struck.

    It is made with the settings and a way to say what goes on; making it starts nothing and touches nothing.
    """

    def begin(self) -> None:
        """Prepare the drill's own work, and start it in the background."""

    def finish(self, limit_s: float) -> Finding:
        """Wait for the end of the work; a failure, or no end in time, is a finding that does not hold."""

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """What was measured and when things happened, once all is over."""

    def close(self, *, keep_files: bool) -> None:
        """End whatever the scene started and still runs, and remove its files unless they are to be looked at.

        Called exactly once, also when `begin` failed half way or the drill was interrupted.
        """


SceneT = TypeVar("SceneT", bound=Scene)


@dataclasses.dataclass(frozen=True, slots=True)
class Drill(Generic[SceneT]):
    """A claim and how it is put to the test.

    `scene` sets the stage; `strike` injects the faults and returns those that were sent, `faults` in all, or fewer when
    it found no moment for one; each check of `verdict` is an independent look at what came out.
    """

    name: str
    claim: str
    fault: str
    layer: Layer
    scene: Callable[[Settings, Say], SceneT]
    steady: Sequence[Callable[[SceneT], Finding]]
    strike: Callable[[SceneT], Sequence[Strike]]
    within_s: float
    verdict: Sequence[Callable[[SceneT, Sequence[Strike]], Finding]]
    faults: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill came to: `proved` only when every fault struck and every finding holds."""

    verdict: Verdict
    findings: Sequence[Finding]
    strikes: Sequence[Strike] = ()
    evidence: Evidence = dataclasses.field(default_factory=Evidence)

    @property
    def reasons(self) -> list[str]:
        """Why it is not proved."""
        return [finding.said for finding in self.findings if not finding.holds]

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return dataclasses.asdict(self)


def run_drill(
    drill: Drill[SceneT], scene: SceneT, bystanders: Callable[[], Mapping[str, str]], say: Callable[[str], None]
) -> Outcome:
    """Run a drill: `unknown` when the steady state was not there or a fault could not strike, so nothing was tested.

    `bystanders` are fingerprints of what belongs to the user: a change between beginning and end refutes. The scene is
    closed in any case, its files kept when the drill is refuted. Under an interruption: nothing of the user's was
    touched, since the scene is the drill's own.
    """
    keep_files = False
    try:
        outcome = _perform(drill, scene, bystanders, say)
        keep_files = outcome.verdict == "refuted"
        return outcome
    finally:
        _close(scene, keep_files, say)


def _close(scene: Scene, keep_files: bool, say: Say) -> None:
    """What cannot be cleared up is told: what was found out is worth more."""
    try:
        scene.close(keep_files=keep_files)
    except KoboshiError as error:
        say(f"the drill could not clear up after itself: {error}")


def _perform(
    drill: Drill[SceneT], scene: SceneT, bystanders: Callable[[], Mapping[str, str]], say: Callable[[str], None]
) -> Outcome:
    steady = [_ask(check.__name__, lambda check=check: check(scene)) for check in drill.steady]  # type: ignore[misc]
    for finding in steady:
        say(f"steady state: {finding.said}")
    if not all(finding.holds for finding in steady):
        return Outcome("unknown", steady)
    before = bystanders()
    try:
        scene.begin()
    except KoboshiError as error:
        return Outcome("unknown", [*steady, Finding("begun", False, f"the drill's own work did not begin: {error}")])
    strikes = list(drill.strike(scene))
    for strike in strikes:
        say(str(strike))
    ended = scene.finish(drill.within_s)
    if len(strikes) < drill.faults:
        said = f"{len(strikes)} of {drill.faults} faults found their moment to strike"
        return Outcome("unknown", [*steady, ended, Finding("strike", False, said)], strikes)
    findings = [ended]
    if ended.holds:
        findings += [_ask(c.__name__, lambda c=c: c(scene, strikes)) for c in drill.verdict]  # type: ignore[misc]
    findings.append(_untouched(before, bystanders()))
    verdict: Verdict = "proved" if all(finding.holds for finding in findings) else "refuted"
    return Outcome(verdict, [*steady, *findings], strikes, _evidence(scene, strikes))


def _ask(check: str, question: Callable[[], Finding]) -> Finding:
    """A check that cannot be made does not hold."""
    try:
        return question()
    except KoboshiError as error:
        return Finding(check, False, str(error))


def _evidence(scene: Scene, strikes: Sequence[Strike]) -> Evidence:
    """What cannot be measured is left out: the verdict does not depend on it."""
    try:
        return scene.evidence(strikes)
    except KoboshiError:
        return Evidence()


def _untouched(before: Mapping[str, str], after: Mapping[str, str]) -> Finding:
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    kept = f"what is yours is as before: {len(before)} fingerprint{'' if len(before) == 1 else 's'}"
    said = f"{', '.join(changed)} changed during the drill" if changed else kept
    return Finding("bystanders_untouched", not changed, said)
