"""How a training stands or has ended, put together, pure, from ledger, journal and what its driver shows.

A `Story` is what has happened in it, folded from the journal's events: for people, never to decide anything.
"""

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from koboshi.events import (
    Event,
    JobBegan,
    JobDone,
    Recovered,
    StepDone,
    StepStarted,
    TakenUp,
    UnitComplete,
    UnitSetAside,
    WorkerReady,
)
from koboshi.journal import Entry
from koboshi.ledger.attempts import Recorded
from koboshi.ledger.steps import CommittedStep
from koboshi.training.driver.standing import Standing, WorkerStanding

PATIENCE_S = 90.0  # without a driver, before a run counts as broken off: a head that was killed is back well before
AGAIN_S = 3.0  # after a failed attempt, within which whoever follows it begins the next one
KEPT = 200  # newest sentences of a run
ORDINARY = (StepStarted, StepDone, WorkerReady, UnitComplete)  # nobody wants to hear of each of them

Outcome = Literal["running", "starting", "complete", "partial", "failed", "broken off"]


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """An event in a sentence; `number` counts those of the run, `at` is seconds since 1970."""

    number: int
    at: float
    sentence: str


@dataclasses.dataclass(slots=True)
class Story:
    """One run: its jobs in the order they began (None while one has not said that it is done), and what came up.

    `set_aside` has the units that the newest job has set aside, with the reason; an earlier job's are tried again.
    """

    jobs: dict[str, float | None] = dataclasses.field(default_factory=dict)
    began_at: float = 0.0
    job_began_at: float = 0.0
    last_at: float = 0.0
    recoveries: Counter[str] = dataclasses.field(default_factory=Counter)
    set_aside: dict[str, str] = dataclasses.field(default_factory=dict)
    told: deque[Told] = dataclasses.field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def job(self) -> str:
        """The newest job; empty when none has begun."""
        return next(reversed(self.jobs), "")


def fold(stories: defaultdict[str, Story], entries: Iterable[Entry]) -> None:
    """Go on telling: each event belongs to the run that it names."""
    for entry in entries:
        if entry.event.run:
            _add(stories[entry.event.run], entry.event, entry.at)


def _add(story: Story, event: Event, at: float) -> None:
    story.began_at, story.last_at = story.began_at or at, at
    match event:
        case JobBegan():
            story.jobs.pop(event.job, None)
            story.jobs[event.job] = None
            story.job_began_at = at
            story.set_aside.clear()
        case JobDone():
            story.jobs[event.job] = at
        case Recovered() | TakenUp():
            story.recoveries[event.unit] += 1
        case UnitSetAside():
            story.set_aside[event.unit] = f"step {event.step}: {event.reason}"
    if not isinstance(event, ORDINARY) and (sentence := event.sentence):
        number = story.told[-1].number + 1 if story.told else 1
        story.told.append(Told(number, at, sentence))


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """All that was read of one training at a moment; `now` is seconds since 1970.

    `totals` has the number of steps of each unit, as far as a specification or a driver told them; `held` says whether
    a driver holds the run's lease.
    """

    key: str
    attempts: Sequence[Recorded]
    newest: Mapping[str, CommittedStep]
    totals: Mapping[str, int]
    story: Story
    standing: Standing | None
    held: bool
    now: float


@dataclasses.dataclass(frozen=True, slots=True)
class UnitLine:
    """A unit; `total` is None where nobody tells it any more."""

    name: str
    done: int
    total: int | None
    place: str
    worker: str
    at_risk: int
    recoveries: int
    metrics: Mapping[str, float]
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Overview:
    """A training for people. `outcome` and `said` are how it stands, `shown_s` how old the driver's word is."""

    key: str
    job: str
    outcome: Outcome
    said: str
    began_at: float
    ended_at: float | None
    attempts: int
    units: Sequence[UnitLine]
    workers: Sequence[WorkerStanding]
    starting: int
    shown_s: float | None
    told: Sequence[Told]
    now: float

    @property
    def ended(self) -> bool:
        """Whether nobody is at it any more."""
        return self.outcome not in ("running", "starting")

    @property
    def name(self) -> str:
        """The newest job's name, which begins with the run's key, unless somebody has chosen another one."""
        own = self.key[:16]
        return self.job if self.job.startswith(own) else f"{own} {self.job}".rstrip()

    @property
    def steps_done(self) -> int:
        """The committed steps of all units."""
        return sum(unit.done for unit in self.units)

    @property
    def steps(self) -> int | None:
        """The steps that there are to be done; None where that is not known of each unit."""
        totals = [unit.total for unit in self.units]
        return None if None in totals or not totals else sum(total or 0 for total in totals)

    @property
    def recoveries(self) -> int:
        """How often a unit went on after a failure."""
        return sum(unit.recoveries for unit in self.units)

    def in_place(self, place: str) -> int:
        """How many units are there."""
        return sum(unit.place == place for unit in self.units)


def overview(known: Known) -> Overview:
    """The picture of a training."""
    story, shown = known.story, _shown(known)
    outcome, said = _outcome(known)
    opened = [attempt.opened_at for attempt in known.attempts]
    began = min(filter(None, [story.began_at, *opened, *_committed(known)]), default=known.now)
    return Overview(
        key=known.key,
        job=story.job or (f"{known.key[:16]}-{known.attempts[-1].number}" if known.attempts else ""),
        outcome=outcome,
        said=said,
        began_at=began,
        ended_at=None if outcome in ("running", "starting") else _last_at(known),
        attempts=max(len(known.attempts), len(story.jobs)),
        units=_units(known, shown, outcome),
        workers=shown.workers if shown else (),
        starting=shown.starting if shown else 0,
        shown_s=max(0.0, known.now - shown.at_s) if shown else None,
        told=tuple(story.told),
        now=known.now,
    )


def last_sign_at(known: Known) -> float:
    """When something of a training was heard last."""
    opened = [attempt.opened_at for attempt in known.attempts]
    return max([known.story.last_at, *opened, *_committed(known)])


def _outcome(known: Known) -> tuple[Outcome, str]:
    """Committed steps count more than what anybody said; a lease that is held counts more than an old attempt."""
    attempt, story = known.attempts[-1] if known.attempts else None, known.story
    if _complete(known):
        return "complete", ""
    if known.held:
        return "running", ""
    if attempt is not None and attempt.state == "failed" and (attempt.closed_at or 0.0) >= story.job_began_at:
        if known.now - (attempt.closed_at or 0.0) < AGAIN_S:
            return "starting", "an attempt has failed just now"
        return ("partial" if story.set_aside else "failed"), attempt.detail
    quiet_s = known.now - last_sign_at(known)
    if attempt is None and story.set_aside:
        return "partial", "units were set aside"
    if quiet_s < PATIENCE_S and (attempt is None or attempt.state == "open"):
        return "starting", "no driver is at work just now"
    return ("partial" if story.set_aside else "broken off"), "nobody is at work on it: run it again, and it goes on"


def _complete(known: Known) -> bool:
    if known.totals:
        done = {name: step.checkpoint.step for name, step in known.newest.items()}
        return all(done.get(name) == total for name, total in known.totals.items())
    return bool(known.attempts) and known.attempts[-1].state == "succeeded"


def _shown(known: Known) -> Standing | None:
    """What the driver shows, if it is the one that is at work; the last word of an earlier one is of no interest."""
    standing = known.standing
    if standing is None or not known.held or (known.story.job and standing.job != known.story.job):
        return None
    return standing


def _units(known: Known, shown: Standing | None, outcome: Outcome) -> list[UnitLine]:
    names = dict.fromkeys([*known.totals, *sorted(known.newest)])
    at = {worker.unit: worker.name for worker in shown.workers} if shown else {}
    return [_unit(known, shown, outcome, name, at.get(name, "")) for name in names]


def _unit(known: Known, shown: Standing | None, outcome: Outcome, name: str, worker: str) -> UnitLine:
    newest, total, reason = known.newest.get(name), known.totals.get(name), known.story.set_aside.get(name, "")
    done = newest.checkpoint.step if newest else 0
    standing = shown.units.get(name) if shown else None
    place = "done" if done == total or outcome == "complete" else "set aside" if reason else "waiting"
    if place == "waiting" and standing is not None and standing.place != "done":
        place = "recovering" if standing.recovering and standing.place == "at work" else standing.place
    elif place == "waiting" and outcome not in ("running", "starting"):
        place = "unfinished"
    return UnitLine(
        name=name,
        done=done,
        total=total,
        place=place,
        worker=worker,
        at_risk=standing.at_risk if standing else 0,
        recoveries=known.story.recoveries[name],
        metrics=newest.metrics if newest else {},
        reason=reason if place == "set aside" else "",
    )


def _committed(known: Known) -> list[float]:
    return [step.committed_at for step in known.newest.values()]


def _last_at(known: Known) -> float:
    closed = [attempt.closed_at for attempt in known.attempts if attempt.closed_at]
    return max([last_sign_at(known), *closed])
