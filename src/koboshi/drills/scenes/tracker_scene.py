"""The scene of the drill that kills MLflow twice: a training that is told of, and predictions that are asked for."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from koboshi.drills.evidence import Event, Evidence, Finding
from koboshi.drills.faults.parts import hold_down, kill_part, let_up, why_not_healthy
from koboshi.drills.faults.signals import caught_in_the_middle
from koboshi.drills.scenes.answers import OK, per_second
from koboshi.drills.scenes.serving_scene import ServingScene
from koboshi.drills.scenes.tracker_witness import TrackerWitness
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike
from koboshi.errors import Transient, Unavailable
from koboshi.ledger import Ledger
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord, UnitRecord, telling, to_mlflow
from koboshi.settings import Settings, required
from koboshi.training import UnitSpec
from koboshi.training.attach import final_steps
from koboshi.training.checkpoints import read_checkpoint

TRACKER = "mlflow"
BACK_WITHIN_S = 120.0
RECORDED_WITHIN_S = 180.0
RATE = 40.0  # a second: enough to see a gap, without taking the cores from the training
HANDED_OVER_WITHIN_S = 180.0
RECORDED = "recoveries"  # a metric that is told once a training has ended
LOOK_S, AGAIN_AFTER_S = 0.05, 2.0


class TrackerScene(TrainingScene):
    """The training is told of in an experiment of its own, which is removed; the champion is only asked.

    It is followed and handed over as the stage `train` of a pipeline does it, with an outbox of its own; once MLflow is
    back, that is delivered as Airflow tries a task again: after `Transient`, from the beginning.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None], job: Path | None = None) -> None:
        """Nothing is done yet."""
        super().__init__(settings, say, job)
        self.serving = ServingScene(settings, say, requests=0, rate=RATE)
        self.uri = required(settings.mlflow.tracking_uri, "MLflow")
        self.witness = TrackerWitness(self.uri, f"drill-{self.folder.name}")
        self.refusals: list[float] = []
        self.trained_s = self.recorded_s = 0.0
        self.waited: list[int] = []
        self.downs: list[tuple[float, float]] = []
        self._handed_over, self._back = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Ask for predictions, and have the training begun."""
        self.serving.begin()
        super().begin()

    def kill_the_tracker_twice(self) -> list[Strike]:
        """SIGKILL to MLflow: in a step, to stay away beyond the training's end; again while the record is delivered."""
        if caught_in_the_middle(self.doing, self.pids, lambda: self.over) is None:
            return []
        first = kill_part(self.settings, TRACKER, f"during {self.victim}'s step {self.step}")
        if first is None:
            return []
        hold_down(self.settings, TRACKER)
        self._wait_until_handed_over()
        let_up(self.settings, TRACKER)
        self._wait_until_back(first)
        self._back.set()
        second = kill_part(self.settings, TRACKER, "while a run was being written") if self._is_recording() else None
        if second is None:
            return [first]
        self._wait_until_back(second)
        return [first, second]

    def waiting(self) -> int:
        """How many files are in the outbox now."""
        return len(list((self.folder / "outbox").glob("*.zip")))

    def finish(self, limit_s: float) -> Finding:
        """Wait until the training is recorded; then nothing more is asked."""
        self._back.set()
        ended = super().finish(limit_s)
        self.serving.end_load()
        return Finding(ended.check, True, "the training ended, and is recorded") if ended.holds else ended

    def answered_while_down(self) -> int:
        """How many predictions came while MLflow was away."""
        good = [answer.at_s for answer in self.serving.answers if answer.status == OK]
        return sum(begun <= at <= ended for at in good for begun, ended in self.downs)

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """Suspicion is the first refusal after the second strike, recovery the end of the record."""
        told, second_s = super().evidence(strikes), strikes[-1].at_s
        refused = [at for at in self.refusals if at > second_s]
        times = {"recovered_after_s": self.recorded_s - second_s}
        times |= {"detected_after_s": refused[0] - second_s} if refused else {}
        measures = {"lost": self.serving.load_measures()["lost"], "redone": float(len(self.refusals))}
        answers = self.serving.answers
        series = [*told.series, *per_second(answers, lambda answer: answer.replica)]
        return Evidence({**told.measures, **measures, **times}, [*told.events, *self._events()], series)

    def close(self, *, keep_files: bool) -> None:
        """End the load; remove the experiment, unless it is to be looked at. MLflow is on again in any case."""
        let_up(self.settings, TRACKER)
        self.serving.close(keep_files=False)
        super().close(keep_files=keep_files)
        if not keep_files:
            try:
                self.witness.remove()
            except Unavailable as error:
                self._say(f"experiment {self.witness.experiment} stays in MLflow: {error}")

    def _train(self) -> None:
        params = {"threads": self.spec.threads}
        units = {name: {"steps": unit.steps} for name, unit in self.spec.units.items()}
        plan = TrainingPlan(self.witness.experiment, self.spec.key, params, units)
        with telling(self.spec.place.ledger_url, lambda ledger: to_mlflow(ledger, self.uri, plan), self._say):
            super()._train()
        self.trained_s = time.time()
        from koboshi.registry.mlflow_delivery import deliver, hand_over

        outbox = Outbox.of(self.folder)
        with closing(Ledger(self.spec.place.ledger_url)) as ledger:
            record = TrainingRecord(plan.experiment, plan.key, params, self._unit_records(ledger))
            hand_over(outbox, ledger, self.uri, record, self._say)
            self.waited.append(self.waiting())
            self._handed_over.set()
            self._back.wait(BACK_WITHIN_S)
            self._until_it_works(lambda: deliver(outbox, ledger, self.uri, self._say))
        self.recorded_s = time.time()

    def _until_it_works(self, call: Callable[[], object]) -> None:
        deadline = time.monotonic() + RECORDED_WITHIN_S
        while True:
            try:
                call()
            except Transient as error:
                self.refusals.append(time.time())
                self._say(str(error))
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_AFTER_S)
            else:
                return

    def _wait_until_handed_over(self) -> None:
        deadline = time.monotonic() + HANDED_OVER_WITHIN_S
        while not (self._handed_over.wait(LOOK_S) or self.over or time.monotonic() > deadline):
            continue

    def _unit_records(self, ledger: Ledger) -> list[UnitRecord]:
        records = []
        for name, steps in (final_steps(self.spec, ledger) or {}).items():
            state = read_checkpoint(self.spec.place.store_url, steps[-1].checkpoint)
            model, example = self._workload.fitted(state, self.folder / "table")
            told = [StepRecord(step.checkpoint.step, step.metrics, step.committed_at) for step in steps]
            records.append(UnitRecord(name, {"steps": len(steps)}, told, (), model, example))
        return records

    def _is_recording(self) -> bool:
        """Wait until a unit's run is being completed: it has what only a record writes, and is not finished."""
        deadline = time.monotonic() + BACK_WITHIN_S
        while not self.over and time.monotonic() < deadline:
            if any(run.status == "RUNNING" and RECORDED in run.metrics for run in self.witness.runs()):
                return True
            time.sleep(LOOK_S)
        return False

    def _wait_until_back(self, strike: Strike) -> None:
        why = why_not_healthy(self.settings, TRACKER, BACK_WITHIN_S)
        self.downs.append((strike.at_s, time.time()))
        if why:
            self._say(why)

    def _events(self) -> Iterator[Event]:
        for begun, ended in self.downs:
            yield Event(ended, "note", f"MLflow does real work again, {ended - begun:.0f} s after it was killed")
        for at_s in self.refusals[:1]:
            yield Event(at_s, "suspicion", "MLflow does not take the record; it is tried again")
        if self.trained_s:
            yield Event(self.trained_s, "note", "the training has ended; its record waits in the outbox")
        if self.recorded_s:
            yield Event(self.recorded_s, "recovery", "the training is recorded")

    def _doubled(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        return units
