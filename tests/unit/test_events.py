"""Events: facts for programs, one sentence for people; whatever a journal holds can be read."""

import dataclasses
import importlib
import logging
import pkgutil
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from koboshi import events, sinks
from koboshi.events import Event, JobDone, StepDone, Unknown, WorkerDied, in_words, read_event, to_all
from koboshi.journal import Journal
from koboshi.sinks import log

EXAMPLES: dict[Any, Any] = {str: "x", int: 3, float: 0.5, bool: True, int | None: 4}
KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event) and kind.name]


def example(kind: type[Event], **facts: Any) -> Event:
    """An event with every fact."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in ("name", "says")}
    return kind(**{name: EXAMPLES.get(hint, {"loss": 0.5}) for name, hint in hints.items()} | facts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_journal_gives_back_what_a_sink_of_it_got(tmp_path: Path, kind: type[Event]) -> None:
    journal, event = Journal(tmp_path / "j.jsonl"), example(kind)
    journal.emit(event)
    (entry,) = journal.entries()
    assert entry.event == event
    assert type(entry.event) is kind
    assert journal.read(0)[0] == [entry]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_sentence_is_one_line_without_braces(kind: type[Event]) -> None:
    assert "\n" not in str(example(kind))
    assert "{" not in str(example(kind))


def test_names_are_different() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 20


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("of a newer version", {"run": "k", "x": 1}),
        ("recovered", {"run": "k", "unit": "of a version that told less"}),
    ],
)
def test_what_is_not_known_is_kept_and_says_nothing(name: str, facts: dict[str, Any]) -> None:
    event = read_event(name, facts)
    assert event == Unknown(run="k", called=name, told=facts)
    assert event.sentence == ""


def test_facts_that_are_not_known_are_passed_over() -> None:
    assert read_event("job done", {"run": "k", "job": "j", "colour": "red"}) == JobDone(run="k", job="j")


def test_a_journal_keeps_no_fact_that_has_its_default(tmp_path: Path) -> None:
    """As journals always were: a worker that was at no step has neither unit nor step."""
    journal = Journal(tmp_path / "j.jsonl")
    journal.emit(WorkerDied(run="k", worker="w", reason="killed"))
    (line,) = journal.events()
    assert set(line) == {"v", "event", "at", "monotonic", "run", "worker", "reason"}


def test_steps_at_risk_are_in_the_sentence_of_their_step() -> None:
    event = StepDone(unit="a", step=2, total=4, metrics={"loss": 0.5}, seconds=0.1, worker="w")
    assert event.sentence == "a: step 2/4 loss 0.5000 (0.10 s, w)"
    late = dataclasses.replace(event, at_risk=2, trouble="the disk is full")
    assert late.sentence.startswith(f"{event}; 2 steps are in memory alone")


def test_sinks_get_each_event_in_turn() -> None:
    heard: list[Any] = []
    emit = to_all(heard.append, in_words(heard.append))
    emit(JobDone(job="j"))
    emit(events.StepStarted(unit="a", step=1, pid=1))
    assert heard == [JobDone(job="j"), "job j is done", events.StepStarted(unit="a", step=1, pid=1)]


def test_where_logging_is_set_up_events_go_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Trouble as a warning; what has nothing to say to people is not there."""
    event = WorkerDied(run="k", worker="w", reason="killed")
    sink = log.open_sink()
    assert sink is not None
    with caplog.at_level(logging.INFO, logger=log.LOG.name):
        for told in (JobDone(job="j"), events.StepStarted(unit="a", step=1, pid=1), event):
            sink(told)
    assert caplog.record_tuples == [
        (log.LOG.name, logging.INFO, "job j is done"),
        (log.LOG.name, logging.WARNING, "worker died on w (killed)"),
    ]
    assert vars(caplog.records[-1])["event"] is event


def test_without_logging_nobody_wants_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's output would have each sentence twice."""
    monkeypatch.setattr(log.LOG, "propagate", False)
    assert log.open_sink() is None


def test_a_new_sink_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Nothing names it; one that is not wanted is left out; the terminal is there always."""
    (tmp_path / "toy.py").write_text("heard = []\ndef open_sink():\n    return heard.append\n")
    (tmp_path / "unwanted.py").write_text("def open_sink():\n    return None\n")
    monkeypatch.setattr(sinks, "__path__", [*sinks.__path__, str(tmp_path)])
    sinks.open_sinks()(JobDone(job="j"))
    assert importlib.import_module("koboshi.sinks.toy").heard == [JobDone(job="j")]
    assert capsys.readouterr().out == "job j is done\n"
    assert {"terminal", "toy", "unwanted"} <= {module.name for module in pkgutil.iter_modules(sinks.__path__)}
