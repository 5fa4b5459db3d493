"""How a training stands or has ended, put together, pure, from ledger, journal and what its driver shows.

An `EventLog` is what has happened in it, folded from the journal's events: for people, never to decide anything.
"""

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from koboshi import events
from koboshi.journal import Entry
from koboshi.ledger.intents import Attempt
from koboshi.ledger.steps import CommittedStep
from koboshi.training.driver.status import RunStatus, WorkerStatus

PATIENCE_S = 90.0  # without a driver, before a run counts as broken off: a head that was killed is back well before
AGAIN_S = 3.0  # after a failed attempt, within which whoever follows it begins the next one
KEPT = 200  # newest sentences of a run
# Nobody wants to hear of each of them.
ORDINARY = (events.StepStarted, events.StepDone, events.WorkerReady, events.UnitComplete)

TrainingOutcome = Literal["running", "starting", "complete", "partial", "failed", "broken off"]


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in a sentence; `number` counts those of the run, `at` is seconds since 1970."""

    number: int
    at: float
    sentence: str


@dataclasses.dataclass(slots=True)
class EventLog:
    """One run: its jobs in the order they began (None while one has not said that it is done), and what came up.

    `quarantined` has the units that the newest job has quarantined, with the reason; an earlier job's are tried again.
    """

    jobs: dict[str, float | None] = dataclasses.field(default_factory=dict)
    began_at: float = 0.0
    job_began_at: float = 0.0
    last_at: float = 0.0
    recoveries: Counter[str] = dataclasses.field(default_factory=Counter)
    quarantined: dict[str, str] = dataclasses.field(default_factory=dict)
    told: deque[LoggedEvent] = dataclasses.field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def job(self) -> str:
        """The newest job; empty when none has begun."""
        return next(reversed(self.jobs), "")


def fold(logs: defaultdict[str, EventLog], entries: Iterable[Entry]) -> None:
    """Go on telling: each event belongs to the run that it names."""
    for entry in entries:
        if entry.event.run:
            _add(logs[entry.event.run], entry.event, entry.at)


def _add(log: EventLog, event: events.Event, at: float) -> None:
    log.began_at, log.last_at = log.began_at or at, at
    match event:
        case events.JobBegan():
            log.jobs.pop(event.job, None)
            log.jobs[event.job] = None
            log.job_began_at = at
            log.quarantined.clear()
        case events.JobDone():
            log.jobs[event.job] = at
        case events.Recovered() | events.TakenUp():
            log.recoveries[event.unit] += 1
        case events.UnitQuarantined():
            log.quarantined[event.unit] = f"step {event.step}: {event.reason}"
    if not isinstance(event, ORDINARY) and (sentence := event.sentence):
        number = log.told[-1].number + 1 if log.told else 1
        log.told.append(LoggedEvent(number, at, sentence))


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was read of one training at a moment; `now` is seconds since 1970.

    `totals` has the number of steps of each unit, as far as a specification or a driver told them; `held` says whether
    a driver holds the run's lease.
    """

    key: str
    attempts: Sequence[Attempt]
    newest: Mapping[str, CommittedStep]
    totals: Mapping[str, int]
    log: EventLog
    status: RunStatus | None
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
    outcome: TrainingOutcome
    said: str
    began_at: float
    ended_at: float | None
    attempts: int
    units: Sequence[UnitLine]
    workers: Sequence[WorkerStatus]
    starting: int
    shown_s: float | None
    told: Sequence[LoggedEvent]
    now: float

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
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


def overview(snapshot: Snapshot) -> Overview:
    """The picture of a training."""
    log, shown = snapshot.log, _shown(snapshot)
    outcome, said = _outcome(snapshot)
    closed = [attempt.closed_at for attempt in snapshot.attempts if attempt.closed_at]
    began = min(filter(None, [log.began_at, *_signs(snapshot)]), default=snapshot.now)
    return Overview(
        key=snapshot.key,
        job=log.job or (f"{snapshot.key[:16]}-{snapshot.attempts[-1].number}" if snapshot.attempts else ""),
        outcome=outcome,
        said=said,
        began_at=began,
        ended_at=None if outcome in ("running", "starting") else max([last_sign_at(snapshot), *closed]),
        attempts=max(len(snapshot.attempts), len(log.jobs)),
        units=_units(snapshot, shown, outcome),
        workers=shown.workers if shown else (),
        starting=shown.starting if shown else 0,
        shown_s=max(0.0, snapshot.now - shown.at_s) if shown else None,
        told=tuple(log.told),
        now=snapshot.now,
    )


def last_sign_at(snapshot: Snapshot) -> float:
    """When something of a training was heard last."""
    return max([snapshot.log.last_at, *_signs(snapshot)])


def _outcome(snapshot: Snapshot) -> tuple[TrainingOutcome, str]:
    """Committed steps count more than what anybody said; a lease that is held counts more than an old attempt."""
    attempt, log = snapshot.attempts[-1] if snapshot.attempts else None, snapshot.log
    if _complete(snapshot):
        return "complete", ""
    if snapshot.held:
        return "running", ""
    if attempt is not None and attempt.state == "failed" and (attempt.closed_at or 0.0) >= log.job_began_at:
        if snapshot.now - (attempt.closed_at or 0.0) < AGAIN_S:
            return "starting", "an attempt has failed just now"
        return ("partial" if log.quarantined else "failed"), attempt.detail
    quiet_s = snapshot.now - last_sign_at(snapshot)
    if attempt is None and log.quarantined:
        return "partial", "units were quarantined"
    if quiet_s < PATIENCE_S and (attempt is None or attempt.state == "open"):
        return "starting", "no driver is at work just now"
    return ("partial" if log.quarantined else "broken off"), "nobody is at work on it: run it again, and it goes on"


def _complete(snapshot: Snapshot) -> bool:
    if snapshot.totals:
        done = {name: step.checkpoint.step for name, step in snapshot.newest.items()}
        return all(done.get(name) == total for name, total in snapshot.totals.items())
    return bool(snapshot.attempts) and snapshot.attempts[-1].state == "succeeded"


def _shown(snapshot: Snapshot) -> RunStatus | None:
    """What the driver shows, if it is the one that is at work; the last word of an earlier one is of no interest."""
    status = snapshot.status
    if status is None or not snapshot.held or (snapshot.log.job and status.job != snapshot.log.job):
        return None
    return status


def _units(snapshot: Snapshot, shown: RunStatus | None, outcome: TrainingOutcome) -> list[UnitLine]:
    names = dict.fromkeys([*snapshot.totals, *sorted(snapshot.newest)])
    at = {worker.unit: worker.name for worker in shown.workers} if shown else {}
    return [_unit(snapshot, shown, outcome, name, at.get(name, "")) for name in names]


def _unit(snapshot: Snapshot, shown: RunStatus | None, outcome: TrainingOutcome, name: str, worker: str) -> UnitLine:
    newest, total, reason = snapshot.newest.get(name), snapshot.totals.get(name), snapshot.log.quarantined.get(name, "")
    done = newest.checkpoint.step if newest else 0
    status = shown.units.get(name) if shown else None
    place = "done" if done == total or outcome == "complete" else "quarantined" if reason else "waiting"
    if place == "waiting" and status is not None and status.place != "done":
        place = "recovering" if status.recovering and status.place == "at work" else status.place
    elif place == "waiting" and outcome not in ("running", "starting"):
        place = "unfinished"
    return UnitLine(
        name=name,
        done=done,
        total=total,
        place=place,
        worker=worker,
        at_risk=status.at_risk if status else 0,
        recoveries=snapshot.log.recoveries[name],
        metrics=newest.metrics if newest else {},
        reason=reason if place == "quarantined" else "",
    )


def _signs(snapshot: Snapshot) -> list[float]:
    """When attempts were opened, and steps committed."""
    opened = [attempt.opened_at for attempt in snapshot.attempts]
    return [*opened, *(step.committed_at for step in snapshot.newest.values())]
