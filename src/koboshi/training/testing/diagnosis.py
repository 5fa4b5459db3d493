"""Decides, pure: from the outcomes of experiments to one sentence that says what is not exact, where, and why."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

Cause = Literal[
    "raises",
    "unseeded",
    "clock",
    "order",
    "threads",
    "dump changes the unit",
    "number ignored",
    "state not dumped",
    "unknown",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What a step told (metrics, as hexadecimal floats), and the digest of the state after it, if it was dumped."""

    metrics: Mapping[str, str]
    form: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The steps after step `after`, and what stopped it before the end."""

    after: int
    steps: tuple[Step, ...]
    error: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcomes:
    """`straight` is the undisturbed run. Each other one differs from it in one thing alone, which its name says.

    `twin` differs in nothing; `plain` dumps only at the end; `renumbered` gets other step numbers; `resumed` are the
    runs that were taken up after each step.
    """

    straight: Run
    twin: Run
    clock: Run
    order: Run
    threads: Run
    plain: Run
    renumbered: Run
    resumed: tuple[Run, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """Where a run first differs from the undisturbed one, and in what."""

    step: int
    what: str
    error: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class UnitVerdict:
    """Whether a unit is exact; if not, each cause that was found and its sentence, and the first step that differs."""

    causes: tuple[Cause, ...] = ()
    sentences: tuple[str, ...] = ()
    step: int | None = None

    @property
    def exact(self) -> bool:
        """Whether a run with breaks equals a run without, to the bit."""
        return not self.causes

    @property
    def sentence(self) -> str:
        """All that was found, for people."""
        return " ".join(self.sentences) or "It resumes exactly after every step."


def difference(straight: Run, other: Run) -> Difference | None:
    """The first step at which a run is not the undisturbed one."""
    for number, (expected, found) in enumerate(
        zip(straight.steps[other.after :], other.steps, strict=False), other.after + 1
    ):
        if what := _what_differs(expected, found):
            return Difference(number, what)
    if other.error is not None:
        return Difference(other.after + len(other.steps) + 1, "it raises", other.error)
    return None


def is_exact(straight: Run, others: tuple[Run, ...]) -> bool:
    """Whether all runs are the undisturbed one."""
    return not any(difference(straight, other) for other in others)


def failed(straight: Run) -> UnitVerdict:
    """What is said of a unit that does not get through a run without any disturbance."""
    return UnitVerdict(("raises",), (f"It fails without any disturbance: {straight.error}.",), len(straight.steps) + 1)


def diagnose(outcomes: Outcomes) -> UnitVerdict:
    """Why a unit is not exact.

    A unit that differs from itself under the same conditions can be asked nothing more; and one that reads the clock
    cannot be asked whether it resumes: it is taken up at another time.
    """
    straight = outcomes.straight
    if found := difference(straight, outcomes.twin):
        return _verdict([_Finding("unseeded", found)])
    changes: list[tuple[Cause, Run]] = [
        ("clock", outcomes.clock),
        ("order", outcomes.order),
        ("threads", outcomes.threads),
        ("dump changes the unit", outcomes.plain),
    ]
    findings = [_Finding(cause, found) for cause, run in changes if (found := difference(straight, run))]
    reads_clock = any(finding.cause == "clock" for finding in findings)
    return _verdict(findings if reads_clock else findings + _of_resumption(outcomes))


@dataclasses.dataclass(frozen=True, slots=True)
class _Finding:
    cause: Cause
    found: Difference
    after: int = 0

    @property
    def sentence(self) -> str:
        at = f"at step {self.found.step} ({self.found.error or self.found.what})"
        return _SENTENCES[self.cause].format(at=at, after=self.after)


def _of_resumption(outcomes: Outcomes) -> list[_Finding]:
    """The earliest break after which the run is not the undisturbed one."""
    for run in sorted(outcomes.resumed, key=lambda run: run.after):
        if found := difference(outcomes.straight, run):
            return [_Finding(_why_not_resumed(outcomes, found), found, run.after)]
    return []


def _why_not_resumed(outcomes: Outcomes, found: Difference) -> Cause:
    if found.error is not None:
        return "raises"
    return "state not dumped" if difference(outcomes.straight, outcomes.renumbered) else "number ignored"


def _what_differs(expected: Step, found: Step) -> str | None:
    for name in sorted(expected.metrics.keys() | found.metrics.keys()):
        if expected.metrics.get(name) != found.metrics.get(name):
            return f"its metric {name}"
    if expected.form is not None and found.form is not None and expected.form != found.form:
        return "the state after it"
    return None


def _verdict(findings: list[_Finding]) -> UnitVerdict:
    if not findings:
        return UnitVerdict(("unknown",), (_SENTENCES["unknown"],))
    causes, sentences = (tuple(getattr(finding, name) for finding in findings) for name in ("cause", "sentence"))
    return UnitVerdict(causes, sentences, min(finding.found.step for finding in findings))


_SENTENCES: Mapping[Cause, str] = {
    "raises": "Taken up after step {after} it fails {at}.",
    "unseeded": (
        "Two undisturbed runs under the same conditions differ first {at}: it draws unseeded random numbers. Seed them"
        " from the parameters and the step's number, as in np.random.default_rng([seed, number])."
    ),
    "clock": "A run at another time differs first {at}: it reads the clock. Take times from the table.",
    "order": (
        "A run under another PYTHONHASHSEED differs first {at}: it depends on the order of a set, or on hash()."
        " Sort before you go through a set, and take hashes from hashlib."
    ),
    "threads": (
        "A run with another number of threads differs first {at}. Where that number is pinned, as it is in a training"
        " on koboshi's workers, check with threads=(1,)."
    ),
    "dump changes the unit": "A run without dumps in between differs first {at}: dump() changes the unit.",
    "number ignored": (
        "Taken up after step {after} it differs first {at}, while undisturbed runs agree: it ignores the step's number,"
        " and what it keeps instead is not in dump(). Go by the number."
    ),
    "state not dumped": (
        "Taken up after step {after} it differs first {at}, while undisturbed runs agree: something that it goes on"
        " from is not in dump()."
    ),
    "unknown": (
        "A run that was taken up in another process, at another time, with other hashes and threads differs, but none"
        " of these changes alone shows why: run the check again, and look for what depends on two of them."
    ),
}
