"""What a drill is, what it finds, and how it is run: steady state, fault, recovery, verdict."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, get_args

from pydantic import Field

from koboshi.errors import KoboshiError
from koboshi.events import CleanupFailed, DrillJudged, FaultInjected, Sink, SteadyState
from koboshi.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Injection:
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

    def event(self) -> FaultInjected:
        """As it is told to sinks."""
        return FaultInjected(**dataclasses.asdict(self))

    def __str__(self) -> str:
        return str(self.event())


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

    def plus(
        self, measures: Mapping[str, float], events: Iterable[Event] = (), series: Iterable[Series] = ()
    ) -> "Evidence":
        """With more of each; a measure of the same name takes the place of the one before."""
        return Evidence({**self.measures, **measures}, [*self.events, *events], [*self.series, *series])


MEASURED: Mapping[EventKind, str] = {"suspicion": "detected_after_s", "recovery": "recovered_after_s"}


def times_after(injection: Injection, events: Iterable[Event]) -> dict[str, float]:
    """The standard times: from a fault to the first suspicion and to the first recovery among some events."""
    firsts = {event.kind: event.at_s for event in sorted(events, key=lambda event: event.at_s, reverse=True)}
    return {name: firsts[kind] - injection.at_s for kind, name in MEASURED.items() if kind in firsts}


def first_after(told: Iterable[Mapping[str, Any]], injection: Injection, *events: str) -> Mapping[str, Any] | None:
    """Of a journal's lines the first one after an injection that tells of one of these events."""
    later = (t for t in told if t["event"] in events and t["monotonic"] > injection.at_monotonic)
    return min(later, key=lambda t: float(t["monotonic"]), default=None)


def seconds_after(injection: Injection, **moments: Mapping[str, Any] | None) -> dict[str, float]:
    """How long after an injection a journal's lines were written, by the machine's monotonic clock."""
    return {name: t["monotonic"] - injection.at_monotonic for name, t in moments.items() if t is not None}


DrillVerdict = Literal["proved", "refuted", "unknown"]
Layer = Literal["stream", "ingest", "datasets", "training", "orchestration", "tracking", "serving"]
LAYERS: tuple[Layer, ...] = get_args(Layer)


class Environment(Protocol):
    """What a drill works on: something of its own, which runs while the fault is injected.

    It is made with the settings and a sink for what goes on; making it starts nothing and touches nothing.
    """

    def begin(self) -> None:
        """Prepare the drill's own work, and start it in the background."""

    def finish(self, limit_s: float) -> Finding:
        """Wait for the end of the work; a failure, or no end in time, is a finding that does not hold."""

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """What was measured and when things happened, once all is over."""

    def close(self, *, keep_files: bool) -> None:
        """End whatever the environment started and still runs, and remove its files unless they are to be looked at.

        Called exactly once, also when `begin` failed half way or the drill was interrupted.
        """


EnvironmentT = TypeVar("EnvironmentT", bound=Environment)


@dataclasses.dataclass(frozen=True, slots=True)
class Drill(Generic[EnvironmentT]):
    """A claim and how it is put to the test.

    `environment` makes what the drill works on; `inject` injects the faults and returns those that were sent: `faults`
    in all, or fewer, or None in the place of one, when it found no moment. Each check of `verdict` looks at the result
    independently.
    """

    name: str
    claim: str
    fault: str
    layer: Layer
    environment: Callable[[Settings, Sink], EnvironmentT]
    steady: Sequence[Callable[[EnvironmentT], Finding]]
    inject: Callable[[EnvironmentT], Sequence[Injection | None]]
    within_s: float
    verdict: Sequence[Callable[[EnvironmentT, Sequence[Injection]], Finding]]
    faults: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class DrillOutcome:
    """What a drill came to: `proved` only when every fault was injected and every finding holds.

    Journals keep the injections under the name that they had first.
    """

    verdict: DrillVerdict
    findings: Sequence[Finding]
    injections: Annotated[Sequence[Injection], Field(alias="strikes")] = ()
    evidence: Evidence = dataclasses.field(default_factory=Evidence)

    @property
    def reasons(self) -> list[str]:
        """Why it is not proved."""
        return [finding.said for finding in self.findings if not finding.holds]


def of(part: str, check: Callable[..., Finding]) -> Callable[..., Finding]:
    """The same check of a part of the environment, which is an environment itself."""

    @wraps(check)
    def asked(environment: Environment, *injections: Sequence[Injection]) -> Finding:
        return check(getattr(environment, part), *injections)

    return asked


def run_drill(
    drill: Drill[EnvironmentT],
    environment: EnvironmentT,
    invariant_state: Callable[[], Mapping[str, str]],
    emit: Sink,
) -> DrillOutcome:
    """Run a drill: `unknown` when the steady state was not there or a fault could not be injected: nothing was tested.

    `invariant_state` gives fingerprints of what belongs to the user: a change between beginning and end refutes. The
    environment is closed in any case, its files are kept when the drill is refuted. Under an interruption: nothing of
    the user's was touched, since the environment is the drill's own.
    """
    keep_files = False
    try:
        outcome = _perform(drill, environment, invariant_state, emit)
        keep_files = outcome.verdict == "refuted"
        emit(DrillJudged(drill=drill.name, verdict=outcome.verdict))
        return outcome
    finally:
        try:
            environment.close(keep_files=keep_files)
        except KoboshiError as error:  # what was found out is worth more
            emit(CleanupFailed(reason=str(error)))


def _perform(
    drill: Drill[EnvironmentT],
    environment: EnvironmentT,
    invariant_state: Callable[[], Mapping[str, str]],
    emit: Sink,
) -> DrillOutcome:
    findings = [_ask(check, environment) for check in drill.steady]
    for finding in findings:
        emit(SteadyState(check=finding.check, holds=finding.holds, found=finding.said))
    if not all(finding.holds for finding in findings):
        return DrillOutcome("unknown", findings)
    before = invariant_state()
    try:
        environment.begin()
    except KoboshiError as error:
        begun = Finding("begun", False, f"the drill's own work did not begin: {error}")
        return DrillOutcome("unknown", [*findings, begun])
    injections = [injection for injection in drill.inject(environment) if injection]
    for injection in injections:
        emit(injection.event())
    findings.append(environment.finish(drill.within_s))
    if len(injections) < drill.faults:
        said = f"{len(injections)} of {drill.faults} faults found their moment"
        return DrillOutcome("unknown", [*findings, Finding("injection", False, said)], injections)
    if findings[-1].holds:
        findings += [_ask(check, environment, injections) for check in drill.verdict]
    findings.append(_unchanged(before, invariant_state()))
    verdict: DrillVerdict = "proved" if all(finding.holds for finding in findings) else "refuted"
    return DrillOutcome(verdict, findings, injections, _evidence(environment, injections))


def _ask(check: Callable[..., Finding], *about: object) -> Finding:
    """A check that cannot be made does not hold."""
    try:
        return check(*about)
    except KoboshiError as error:
        return Finding(check.__name__, False, str(error))


def _evidence(environment: Environment, injections: Sequence[Injection]) -> Evidence:
    """What cannot be measured is left out: the verdict does not depend on it."""
    try:
        return environment.evidence(injections)
    except KoboshiError:
        return Evidence()


def _unchanged(before: Mapping[str, str], after: Mapping[str, str]) -> Finding:
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    kept = f"your data is unchanged: {len(before)} fingerprint{'' if len(before) == 1 else 's'}"
    wrong = [f"{', '.join(changed)} changed during the drill"] if changed else []
    return Finding.unless("invariant_state_kept", wrong, kept)
