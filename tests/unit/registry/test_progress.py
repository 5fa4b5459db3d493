"""Telling of a training from beside it: whatever goes wrong there, who follows the training does not notice."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import Fenced, KoboshiError, LeaseTaken, Permanent, Unavailable
from koboshi.events import in_words, unheard
from koboshi.ledger import Ledger
from koboshi.registry import progress
from koboshi.registry.progress import telling

AWAY = Unavailable("MLflow does not answer: try again.")
LIMIT_S = 60.0


class Told:
    """Counts what it is told; raises what it was given, first things first."""

    def __init__(self, *errors: KoboshiError) -> None:
        self.errors, self.told, self.failed = list(errors), 0, ""
        self.well = threading.Event()

    def tell(self) -> None:
        self.told += 1
        if self.errors:
            raise self.errors.pop(0)
        self.well.set()

    def fail(self, reason: str) -> None:
        self.failed = reason

    def interrupt(self, error: BaseException) -> None:
        """Once something was told."""
        assert self.well.wait(LIMIT_S)
        raise error


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Told, list[str]], object]:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    return lambda told, said: telling(
        f"sqlite:///{tmp_path / 'ledger.db'}", lambda _ledger: told, in_words(said.append)
    )


def test_what_is_away_is_said_once_and_told_later(tell) -> None:
    told, said = Told(AWAY, AWAY, LeaseTaken("somebody tells"), AWAY), []
    with tell(told, said):
        assert told.well.wait(LIMIT_S)
    assert said == [f"Training goes on, and its progress is recorded later: {AWAY}"]
    assert told.failed == ""


def test_a_training_that_cannot_be_completed_is_told_so(tell) -> None:
    told = Told()
    with pytest.raises(Permanent), tell(told, []):
        told.interrupt(Permanent("unit a cannot be trained."))
    assert told.failed == "unit a cannot be trained."


def test_it_may_go_on_elsewhere_so_nothing_is_told_of_an_interruption(tell) -> None:
    told = Told()
    with pytest.raises(KeyboardInterrupt), tell(told, []):
        told.interrupt(KeyboardInterrupt())
    assert told.failed == ""


def test_what_is_complete_already_is_not_told_of(tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then MLflow's client, which takes seconds to import, is not needed."""
    monkeypatch.setattr(progress, "FIRST_S", LIMIT_S)
    told = Told()
    with tell(told, []):
        pass
    assert told.told == 0
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_a_server_that_is_silent_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is left behind."""
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(progress, "LAST_WORD_S", 0.01)
    asked, answer = threading.Event(), threading.Event()

    class Silent(Told):
        def tell(self) -> None:
            asked.set()
            answer.wait(LIMIT_S)

    with telling(f"sqlite:///{tmp_path / 'ledger.db'}", lambda _ledger: Silent(), unheard):
        assert asked.wait(LIMIT_S)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert thread.daemon
    answer.set()
    thread.join(LIMIT_S)


def test_it_runs_at_low_priority_on_a_ledger_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    found: list[tuple[int, bool]] = []
    opened = threading.Event()

    def open_progress(ledger: Ledger) -> Told:
        found.append((os.getpriority(os.PRIO_PROCESS, 0), isinstance(ledger, Ledger)))
        opened.set()
        return Told(Fenced("taken over."))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    with telling(f"sqlite:///{tmp_path / 'ledger.db'}", open_progress, unheard):
        assert opened.wait(LIMIT_S)
    assert found == [(max(before, progress.NICENESS), True)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
