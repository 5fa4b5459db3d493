"""What is told of a training: how it stands follows from what is durable; the driver's word only adds to it."""

import dataclasses
from collections import defaultdict
from typing import Any

import pytest

from koboshi.events import read_event
from koboshi.journal import Entry
from koboshi.ledger.intents import Attempt, State
from koboshi.ledger.steps import CommittedStep
from koboshi.refs import CheckpointRef
from koboshi.training.driver.status import RunStatus, UnitStatus, WorkerStatus
from koboshi.training.progress.overview import AGAIN_S, KEPT, PATIENCE_S, EventLog, Overview, Snapshot, fold, overview

KEY = "ab" * 32
JOB = f"{KEY[:16]}-1"
NOW = 1_000.0


def event(name: str, at: float = NOW - 20, **facts: Any) -> Entry:
    return Entry(read_event(name, {"run": KEY, **facts}), at)


BEGAN = event("job began", NOW - 30, job=JOB, pid=7)
QUARANTINED = event("unit set aside", unit="a", step=2, reason="it raises")


def told(*events: Entry) -> EventLog:
    logs: defaultdict[str, EventLog] = defaultdict(EventLog)
    fold(logs, events)
    return logs[KEY]


def attempt(state: State, closed_at: float | None = None, number: int = 1) -> Attempt:
    return Attempt(KEY, number, state, "the last words", NOW - 40, closed_at)


def step(unit: str, number: int, at: float = NOW - 15) -> CommittedStep:
    return CommittedStep(CheckpointRef(KEY, unit, number, "p", "s"), {"loss": 0.5}, at)


def snapshot(**facts: Any) -> Snapshot:
    ordinary: dict[str, Any] = {
        "key": KEY,
        "attempts": [attempt("open")],
        "newest": {"a": step("a", 2)},
        "totals": {"a": 3, "b": 1},
        "log": told(BEGAN),
        "status": None,
        "held": True,
        "now": NOW,
    }
    return Snapshot(**{**ordinary, **facts})


def status(job: str = JOB, recovering: bool = False) -> RunStatus:
    units = {"a": UnitStatus(3, 2, 1, "at work", recovering), "b": UnitStatus(1, 0, 0, "held")}
    worker = WorkerStatus("w-1", 7, "n", "R", "step", 1.0, 0.1, 0.0, unit="a", step=4)
    return RunStatus(KEY, job, NOW - 0.5, 1, units, (worker,))


LONG_AGO = {"log": told(dataclasses.replace(BEGAN, at=NOW - 500)), "newest": {"a": step("a", 2, NOW - 400)}}
OLD_OPEN = [dataclasses.replace(attempt("open"), opened_at=NOW - 600)]


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "running"),
        ({"newest": {"a": step("a", 3), "b": step("b", 1)}}, "complete"),
        ({"totals": {}, "attempts": [attempt("succeeded", NOW - 1)], "held": False}, "complete"),
        ({"totals": {}, "attempts": [attempt("succeeded", NOW - 1)], "newest": {}, "held": True}, "complete"),
        ({"held": False}, "starting"),
        ({"held": False, "attempts": [], "newest": {}}, "starting"),
        ({"held": False, "attempts": [attempt("failed", NOW - AGAIN_S + 1)]}, "starting"),
        ({"held": False, "attempts": [attempt("failed", NOW - AGAIN_S - 1)]}, "failed"),
        ({"held": False, "attempts": [attempt("failed", NOW - 10)], "log": told(BEGAN, QUARANTINED)}, "partial"),
        ({"held": True, "attempts": [attempt("failed", NOW - 10)]}, "running"),
        ({"held": False, "attempts": [], "log": told(BEGAN, QUARANTINED)}, "partial"),
        ({"held": False, "attempts": OLD_OPEN, **LONG_AGO}, "broken off"),
        ({"held": False, "attempts": [attempt("succeeded", NOW - 1)]}, "broken off"),
    ],
)
def test_how_it_stands(facts: dict[str, Any], outcome: str) -> None:
    assert overview(snapshot(**facts)).outcome == outcome


def test_a_direct_start_after_a_failed_attempt_is_not_told_by_that_attempt() -> None:
    later = told(BEGAN, event("job began", NOW - 5, job="by-hand", pid=8))
    seen = overview(snapshot(held=False, attempts=[attempt("failed", NOW - 10)], log=later))
    assert (seen.outcome, seen.job) == ("broken off", "by-hand")


def test_a_run_without_a_driver_is_given_up_after_a_while() -> None:
    facts = {"held": False, "attempts": OLD_OPEN, "log": told(BEGAN), "newest": {}}
    heard = NOW - 30
    assert not overview(snapshot(**facts, now=heard + PATIENCE_S - 1)).ended
    assert overview(snapshot(**facts, now=heard + PATIENCE_S + 1)).ended


def test_the_drivers_word_adds_places_workers_and_what_is_at_risk() -> None:
    seen = overview(snapshot(status=status(recovering=True)))
    a, b = seen.units
    assert (a.place, a.worker, a.at_risk, a.done, a.metrics) == ("recovering", "w-1", 1, 2, {"loss": 0.5})
    assert (b.place, b.worker, b.done) == ("held", "", 0)
    assert [worker.name for worker in seen.workers] == ["w-1"]
    assert (seen.starting, seen.shown_s) == (1, 0.5)
    assert (seen.steps_done, seen.steps) == (2, 4)


@pytest.mark.parametrize("facts", [{"status": status(job="an-earlier-one")}, {"status": status(), "held": False}])
def test_the_word_of_a_driver_that_is_gone_does_not_count(facts: dict[str, Any]) -> None:
    seen = overview(snapshot(**facts))
    assert (seen.workers, seen.shown_s) == ((), None)
    assert [unit.place for unit in seen.units] == ["waiting", "waiting"]


def test_losing_all_but_the_ledger_leaves_what_is_committed() -> None:
    """No journal, no specification, no driver's word."""
    seen = overview(snapshot(log=EventLog(), totals={}, attempts=[attempt("failed", NOW - 10)], held=False))
    assert (seen.outcome, seen.said, seen.job) == ("failed", "the last words", JOB)
    assert [(unit.done, unit.total, unit.place) for unit in seen.units] == [(2, None, "unfinished")]
    assert seen.steps is None
    assert (seen.began_at, seen.ended_at) == (NOW - 40, NOW - 10)


def test_units_quarantined_and_recoveries_come_from_the_journal() -> None:
    log = told(BEGAN, QUARANTINED, event("recovered", unit="b", step=1, worker="w", after_s=0.25))
    a, b = overview(snapshot(log=log)).units
    assert (a.place, a.reason, b.recoveries) == ("quarantined", "step 2: it raises", 1)


def test_the_next_job_tries_again_what_the_one_before_has_quarantined() -> None:
    log = told(BEGAN, QUARANTINED, event("job began", NOW - 5, job=f"{KEY[:16]}-2", pid=8))
    assert overview(snapshot(log=log)).units[0].place == "waiting"
    assert log.job == f"{KEY[:16]}-2"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (BEGAN, f"job {JOB} began (pid 7)"),
        (event("job done", job=JOB), f"job {JOB} is done"),
        (event("taken up", unit="a", step=2), "a: taken up by another driver after step 2"),
        (
            event("worker died", unit="a", step=3, worker="w", reason="silent: no beat"),
            "a: worker died at step 3 on w (silent: no beat)",
        ),
        (event("worker died", worker="w", reason="killed"), "worker died on w (killed)"),
        (event("step failed", unit="a", step=3, worker="w", reason="no"), "a: step failed at step 3 on w (no)"),
        (
            event("recovered", unit="a", step=3, worker="w", after_s=0.5),
            "a: recovered, step 3 was done again on w after 0.50 s",
        ),
        (QUARANTINED, "a: quarantined at step 2 (it raises)"),
        (event("worker retired", unit="a", worker="w", reason="slow"), "a: w is used no more (slow)"),
        (
            event("checkpoint set aside", unit="a", step=2, reason="bad"),
            "a: step 2 is quarantined, the step before it is used: bad",
        ),
        (
            event("checkpoints paused", unit="a", at_risk=2, reason="full"),
            "a: checkpoints paused, 2 steps at risk (full)",
        ),
        (event("checkpoints go on", unit="a"), "a: checkpoints go on"),
        (event("given up", reason="nobody"), "given up (nobody)"),
    ],
)
def test_each_event_is_a_sentence(said: Entry, sentence: str) -> None:
    assert [one.sentence for one in told(said).told] == [sentence]


def test_ordinary_steps_are_not_told_but_are_signs_of_life() -> None:
    log = told(BEGAN, event("step started", NOW, unit="a", step=1, pid=1), event("worker ready", NOW + 1, pid=1))
    assert [one.number for one in log.told] == [1]
    assert log.last_at == NOW + 1


def test_a_long_story_keeps_its_newest_sentences_and_their_numbers() -> None:
    log = told(*[event("checkpoints go on", unit="a")] * (KEPT + 5))
    assert (log.told[0].number, log.told[-1].number, len(log.told)) == (6, KEPT + 5, KEPT)


def test_runs_are_kept_apart() -> None:
    logs: defaultdict[str, EventLog] = defaultdict(EventLog)
    other = event("job began", run="other", job="j", pid=7)
    fold(logs, [BEGAN, other, event("nobody's", run="")])
    assert {key: log.job for key, log in logs.items()} == {KEY: JOB, "other": "j"}


def test_an_overview_without_any_unit_has_no_number_of_steps() -> None:
    seen: Overview = overview(snapshot(totals={}, newest={}, log=EventLog(), attempts=[], held=True))
    assert (seen.steps, seen.units, seen.job, seen.outcome) == (None, [], "", "running")
