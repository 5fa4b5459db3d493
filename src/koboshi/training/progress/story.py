"""What has happened in each training so far, folded from the journal's events: for people, never to decide anything."""

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any

from koboshi.journal import Journal

KEPT = 200  # newest sentences of a run
SENTENCES = {  # what people want to hear of: ordinary steps and starts are not among it
    "job began": "job {job} began (pid {pid})",
    "job done": "job {job} is done",
    "taken up": "{where}taken up by another driver after step {step}",
    "worker died": "{where}worker died{at_step} on {worker} ({reason})",
    "step failed": "{where}step failed{at_step} on {worker} ({reason})",
    "recovered": "{where}recovered, step {step} was done again on {worker} after {after_s:.2f} s",
    "unit set aside": "{where}set aside{at_step} ({reason})",
    "worker retired": "{where}{worker} is used no more ({reason})",
    "checkpoint set aside": "{where}the checkpoint of step {step} is set aside ({reason})",
    "checkpoints paused": "{where}checkpoints paused, {at_risk} steps at risk ({reason})",
    "checkpoints go on": "{where}checkpoints go on",
    "given up": "given up ({reason})",
}


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


def fold(stories: defaultdict[str, Story], events: Iterable[dict[str, Any]]) -> None:
    """Go on telling: each event belongs to the run that it names."""
    for event in events:
        if run := event.get("run"):
            _add(stories[run], event)


def _add(story: Story, event: dict[str, Any]) -> None:
    story.began_at, story.last_at = story.began_at or event["at"], event["at"]
    match event["event"]:
        case "job began":
            story.jobs.pop(event["job"], None)
            story.jobs[event["job"]] = None
            story.job_began_at = event["at"]
            story.set_aside.clear()
        case "job done":
            story.jobs[event["job"]] = event["at"]
        case "recovered" | "taken up":
            story.recoveries[event["unit"]] += 1
        case "unit set aside":
            story.set_aside[event["unit"]] = f"step {event['step']}: {event['reason']}"
    if sentence := _sentence(event):
        number = story.told[-1].number + 1 if story.told else 1
        story.told.append(Told(number, event["at"], sentence))


def _sentence(event: dict[str, Any]) -> str:
    where = f"{event['unit']}: " if "unit" in event else ""
    at_step = f" at step {event['step']}" if "unit" in event and "step" in event else ""
    return SENTENCES.get(event["event"], "").format(**event, where=where, at_step=at_step)


def recoveries(journal: Journal, run_key: str) -> dict[str, list[str]]:
    """By unit, a sentence for each time that training went on after a failure; oldest first."""
    told: dict[str, list[str]] = defaultdict(list)
    for event in journal.events():
        if event.get("run") == run_key and (sentence := _of_recovery(event)):
            told[event["unit"]].append(sentence)
    return told


def _of_recovery(event: dict[str, Any]) -> str | None:
    match event["event"]:
        case "recovered":
            return f"step {event['step']} was done again on {event['worker']} after {event['after_s']:.2f} s"
        case "taken up":
            return f"another driver went on from step {event['step']}"
        case "checkpoint set aside":
            return f"step {event['step']} was set aside and the step before used: {event['reason']}"
        case _:
            return None
