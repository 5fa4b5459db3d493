"""What has happened in each training so far, folded from the journal's events: for people, never to decide anything."""

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

from koboshi.events import (
    CheckpointSetAside,
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
from koboshi.journal import Entry, Journal

KEPT = 200  # newest sentences of a run
ORDINARY = (StepStarted, StepDone, WorkerReady, UnitComplete)  # nobody wants to hear of each of them


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


def recoveries(journal: Journal, run_key: str) -> dict[str, list[str]]:
    """By unit, a sentence for each time that training went on after a failure, oldest first: for its page in MLflow."""
    told: dict[str, list[str]] = defaultdict(list)
    for event in (entry.event for entry in journal.entries()):
        if event.run == run_key and isinstance(event, Recovered | TakenUp | CheckpointSetAside):
            told[event.unit].append(event.sentence.removeprefix(f"{event.unit}: "))
    return told
