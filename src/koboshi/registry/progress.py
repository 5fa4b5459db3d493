"""What a training leaves to be recorded, and telling of it while it is under way: it never waits for that."""

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from koboshi.errors import KoboshiError, LeaseTaken, Permanent
from koboshi.events import ProgressWithheld, Sink
from koboshi.ledger import Ledger
from koboshi.registry.facts import TrainingFacts

if TYPE_CHECKING:
    import pandas as pd


NO_FACTS = TrainingFacts()


@dataclasses.dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step measured, and when it was committed (`at_s`, seconds since 1970)."""

    step: int
    metrics: Mapping[str, float]
    at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class UnitRecord:
    """One trained unit: a fitted scikit-learn `model`, some rows of its input as `example`.

    `recoveries` are sentences, one for each time that training went on after a failure; they are counted as a metric
    and can be read in the run's description.
    """

    name: str
    params: Mapping[str, Any]
    steps: Sequence[StepRecord]
    recoveries: Sequence[str]
    model: Any
    example: "pd.DataFrame"


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A finished training: the experiment that it belongs to, its key, its parameters, its units, and its facts."""

    experiment: str
    key: str
    params: Mapping[str, Any]
    units: Sequence[UnitRecord]
    facts: TrainingFacts = NO_FACTS


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training that is under way: its experiment, key and parameters, by unit those of its units, and its facts."""

    experiment: str
    key: str
    params: Mapping[str, Any]
    units: Mapping[str, Mapping[str, Any]]
    facts: TrainingFacts = NO_FACTS


FIRST_S, EVERY_S = 1.0, 5.0
LAST_WORD_S = 10.0  # how long who follows a training waits, at its end, for a request that is under way
NICENESS = 10


class Progress(Protocol):
    """Where a training is told of."""

    def tell(self) -> None:
        """Tell what is new; raises `KoboshiError` when that is not possible just now."""

    def fail(self, reason: str) -> None:
        """Tell that it cannot be completed."""


def to_mlflow(ledger: Ledger, tracking_uri: str, plan: TrainingPlan) -> Progress:
    """MLflow's runs; its client, which takes seconds to import, is imported now."""
    from koboshi.registry.mlflow_delivery import MlflowProgress

    return MlflowProgress(ledger, tracking_uri, plan)


@contextmanager
def telling(ledger_url: str, open_progress: Callable[[Ledger], Progress], emit: Sink) -> Iterator[None]:
    """Tell of a training while the block follows it: each few seconds, in a thread of low priority.

    Whatever goes wrong there is said once and tried again; the block is not touched by it. When the block ends in
    `Permanent`, that is told, too. A thread that is held by a silent server is left behind after `LAST_WORD_S`.
    """
    teller = _Teller(ledger_url, open_progress, emit)
    thread = threading.Thread(target=teller.run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    except Permanent as error:
        teller.failure = str(error)
        raise
    finally:
        teller.over.set()
        thread.join(LAST_WORD_S)


class _Teller:
    def __init__(self, ledger_url: str, open_progress: Callable[[Ledger], Progress], emit: Sink) -> None:
        self._ledger_url, self._open, self._emit = ledger_url, open_progress, emit
        self._quiet_about = ""
        self.over, self.failure = threading.Event(), ""

    def run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        if self.over.wait(FIRST_S) and not self.failure:
            return  # it was complete already
        with closing(Ledger(self._ledger_url)) as ledger:
            progress = self._open(ledger)
            self._try(progress.tell)
            while not self.over.wait(EVERY_S):
                self._try(progress.tell)
            if self.failure:
                self._try(lambda: progress.fail(self.failure))

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except LeaseTaken:
            return  # somebody else is writing; what is left out now is told later
        except KoboshiError as error:
            if self._quiet_about != str(error):
                self._emit(ProgressWithheld(reason=str(error)))
            self._quiet_about = str(error)
        else:
            self._quiet_about = ""
