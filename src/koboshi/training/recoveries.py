"""What a training was saved from, told from the journal: for people, and for the run's page in MLflow."""

from collections import defaultdict
from typing import Any

from koboshi.journal import Journal


def recoveries(journal: Journal, run_key: str) -> dict[str, list[str]]:
    """By unit, a sentence for each time that training went on after a failure; oldest first."""
    told: dict[str, list[str]] = defaultdict(list)
    for event in journal.events():
        if event.get("run") == run_key and (sentence := _sentence(event)):
            told[event["unit"]].append(sentence)
    return told


def _sentence(event: dict[str, Any]) -> str | None:
    match event["event"]:
        case "recovered":
            return f"step {event['step']} was done again on {event['worker']} after {event['after_s']:.2f} s"
        case "taken up":
            return f"another driver went on from step {event['step']}"
        case "checkpoint set aside":
            return f"step {event['step']} was set aside and the step before used: {event['reason']}"
        case _:
            return None
