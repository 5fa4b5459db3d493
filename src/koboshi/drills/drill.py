"""What a drill is, what it finds, and how it is run: steady state, fault, recovery, verdict."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

from koboshi.errors import KoboshiError
from koboshi.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Strike:
    """One fault: what was done (`fault`) to what (`target`), when, and whether it was seen to have taken.

    `at_s` is the wall clock (seconds since 1970), `at_monotonic` the machine's monotonic clock. `took` is seen by other
    means than those that sent it: the process is gone or stopped, the proxy has swallowed bytes, the digest differs.
    """

    fault: str
    target: str
    at_s: float
    at_monotonic: float
    took: bool
    pid: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        struck = f"{self.fault} to {self.target}" + (f" (pid {self.pid})" if self.pid else "")
        return f"{struck}, {self.detail}" if self.detail else struck


EventKind = Literal["fault", "suspicion", "recovery", "note"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in a sentence."""

    check: str
    holds: bool
    said: str

    @classmethod
    def unless(cls, check: str, wrong: Iterable[str], well: str) -> "Finding":
        """Holds, and says that all is well, unless something is wrong: then it says what."""
        reasons = list(wrong)
        return cls(check, not reasons, "; ".join(reasons) or well)


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a drill, on the wall clock (seconds since 1970)."""

    at_s: float
    kind: EventKind
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """A number over time, such as answers or committed records a second: points are (wall clock, value)."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, the standard measures among it where they have a meaning for the drill.

    `detected_after_s` (fault to first suspicion), `recovered_after_s` (fault to first good work), `lost`, `doubled`
    (records, requests, models), `redone` (steps, spans, tasks that were done again). Seconds end in `_s`.
    """

    measures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    events: Sequence[Event] = ()
    series: Sequence[Series] = ()


DrillVerdict = Literal["proved", "refuted", "unknown"]
Layer = Literal["stream", "ingest", "datasets", "training", "orchestration", "tracking", "serving"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
Say = Callable[[str], None]


class Environment(Protocol):
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
        """End whatever the environment started and still runs, and remove its files unless they are to be looked at.

        Called exactly once, also when `begin` failed half way or the drill was interrupted.
        """


EnvironmentT = TypeVar("EnvironmentT", bound=Environment)


@dataclasses.dataclass(frozen=True, slots=True)
class Drill(Generic[EnvironmentT]):
    """A claim and how it is put to the test.

    `environment` makes what the drill works on; `strike` injects the faults and returns those that were sent: `faults`
    in all, or fewer, or None in the place of one, when it found no moment. Each check of `verdict` looks at the result
    independently.
    """

    name: str
    claim: str
    fault: str
    layer: Layer
    environment: Callable[[Settings, Say], EnvironmentT]
    steady: Sequence[Callable[[EnvironmentT], Finding]]
    strike: Callable[[EnvironmentT], Sequence[Strike | None]]
    within_s: float
    verdict: Sequence[Callable[[EnvironmentT, Sequence[Strike]], Finding]]
    faults: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class DrillOutcome:
    """What a drill came to: `proved` only when every fault struck and every finding holds."""

    verdict: DrillVerdict
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


def of(part: str, check: Callable[..., Finding]) -> Callable[..., Finding]:
    """The same check of a part of the environment, which is an environment itself."""

    @wraps(check)
    def asked(environment: Environment, *strikes: Sequence[Strike]) -> Finding:
        return check(getattr(environment, part), *strikes)

    return asked


def run_drill(
    drill: Drill[EnvironmentT],
    environment: EnvironmentT,
    bystanders: Callable[[], Mapping[str, str]],
    say: Callable[[str], None],
) -> DrillOutcome:
    """Run a drill: `unknown` when the steady state was not there or a fault could not strike, so nothing was tested.

    `bystanders` are fingerprints of what belongs to the user: a change between beginning and end refutes. The
    environment is closed in any case, its files are kept when the drill is refuted. Under an interruption: nothing of
    the user's was touched, since the environment is the drill's own.
    """
    keep_files = False
    try:
        outcome = _perform(drill, environment, bystanders, say)
        keep_files = outcome.verdict == "refuted"
        return outcome
    finally:
        _close(environment, keep_files, say)


def _close(environment: Environment, keep_files: bool, say: Say) -> None:
    """What cannot be cleared up is told: what was found out is worth more."""
    try:
        environment.close(keep_files=keep_files)
    except KoboshiError as error:
        say(f"cleanup failed: {error}")


def _perform(
    drill: Drill[EnvironmentT],
    environment: EnvironmentT,
    bystanders: Callable[[], Mapping[str, str]],
    say: Callable[[str], None],
) -> DrillOutcome:
    steady = [_ask(check.__name__, lambda check=check: check(environment)) for check in drill.steady]  # type: ignore[misc]
    for finding in steady:
        say(f"steady state: {finding.said}")
    if not all(finding.holds for finding in steady):
        return DrillOutcome("unknown", steady)
    before = bystanders()
    try:
        environment.begin()
    except KoboshiError as error:
        return DrillOutcome(
            "unknown", [*steady, Finding("begun", False, f"the drill's own work did not begin: {error}")]
        )
    strikes = [strike for strike in drill.strike(environment) if strike]
    for strike in strikes:
        say(str(strike))
    ended = environment.finish(drill.within_s)
    if len(strikes) < drill.faults:
        said = f"{len(strikes)} of {drill.faults} faults found their moment to strike"
        return DrillOutcome("unknown", [*steady, ended, Finding("strike", False, said)], strikes)
    findings = [ended]
    if ended.holds:
        findings += [_ask(c.__name__, lambda c=c: c(environment, strikes)) for c in drill.verdict]  # type: ignore[misc]
    findings.append(_untouched(before, bystanders()))
    verdict: DrillVerdict = "proved" if all(finding.holds for finding in findings) else "refuted"
    return DrillOutcome(verdict, [*steady, *findings], strikes, _evidence(environment, strikes))


def _ask(check: str, question: Callable[[], Finding]) -> Finding:
    """A check that cannot be made does not hold."""
    try:
        return question()
    except KoboshiError as error:
        return Finding(check, False, str(error))


def _evidence(environment: Environment, strikes: Sequence[Strike]) -> Evidence:
    """What cannot be measured is left out: the verdict does not depend on it."""
    try:
        return environment.evidence(strikes)
    except KoboshiError:
        return Evidence()


def _untouched(before: Mapping[str, str], after: Mapping[str, str]) -> Finding:
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    kept = f"your data is unchanged: {len(before)} fingerprint{'' if len(before) == 1 else 's'}"
    said = f"{', '.join(changed)} changed during the drill" if changed else kept
    return Finding("bystanders_untouched", not changed, said)
