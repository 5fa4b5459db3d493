"""tracker-killed: MLflow is killed in a training and stays away until after its end, and dies again in the delivery."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from koboshi.drills.drill import Drill, Event, Evidence, Finding, Injection, of
from koboshi.drills.kit.aiohttp_load import OK, per_second
from koboshi.drills.kit.faults import hold_down, kill_part, let_up, ours_and_well, why_not_healthy
from koboshi.drills.kit.latencies import latencies
from koboshi.drills.kit.own_run import eventually
from koboshi.drills.serving import load_environment
from koboshi.drills.tracking.tracker_witness import TrackerWitness, ghosts
from koboshi.drills.training.training_checks import ray_has_nodes, ray_is_idle
from koboshi.drills.training.training_environment import CONTROL, TrainingEnvironment
from koboshi.errors import Transient, Unavailable
from koboshi.events import CleanupFailed, DrillNote, Sink, StepDone
from koboshi.ledger import Ledger
from koboshi.probes.mlflow_probe import probe_mlflow
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


class TrackerEnvironment(TrainingEnvironment):
    """The training is told of in an experiment of its own, which is removed; the champion is only asked.

    It is followed and handed over as the stage `train` of a pipeline does it, with an outbox of its own; once MLflow is
    back, that is delivered as Airflow tries a task again: after `Transient`, from the beginning.
    """

    def __init__(self, settings: Settings, emit: Sink, job: Path | None = None) -> None:
        """Nothing is done yet."""
        super().__init__(settings, emit, job)
        self.serving = load_environment.LoadEnvironment(settings, emit, requests=0, rate=RATE)
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

    def kill_the_tracker_twice(self) -> list[Injection]:
        """SIGKILL to MLflow: in a step, to stay away beyond the training's end; again while the record is delivered."""
        (first,) = self.in_the_middle(lambda _caught: kill_part(self.settings, TRACKER, f"during {self.at}")) or [None]
        if first is None:
            return []
        hold_down(self.settings, TRACKER)
        eventually(self._handed_over.is_set, HANDED_OVER_WITHIN_S, look_s=LOOK_S, over=lambda: self.over)
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

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """Suspicion is the first refusal after the second injection, recovery the end of the record."""
        second_s = injections[-1].at_s
        refused = [at for at in self.refusals if at > second_s]
        measures = {"lost": self.serving.load_measures()["lost"], "redone": float(len(self.refusals))}
        measures |= {"recovered_after_s": self.recorded_s - second_s}
        measures |= {"detected_after_s": refused[0] - second_s} if refused else {}
        measures |= latencies(self.serving.answers, injections, self._events())
        series = per_second(self.serving.answers, lambda answer: answer.replica)
        return super().evidence(injections).plus(measures, self._events(), series)

    def close(self, *, keep_files: bool) -> None:
        """End the load; remove the experiment, unless it is to be looked at. MLflow is on again in any case."""
        let_up(self.settings, TRACKER)
        self.serving.close(keep_files=False)
        super().close(keep_files=keep_files)
        if not keep_files:
            try:
                self.witness.remove()
            except Unavailable as error:
                self.emit(CleanupFailed(reason=f"experiment {self.witness.experiment} stays in MLflow: {error}"))

    def _train(self) -> None:
        params = {"threads": self.spec.threads}
        units = {name: {"steps": unit.steps} for name, unit in self.spec.units.items()}
        plan = TrainingPlan(self.witness.experiment, self.spec.key, params, units)
        with telling(self.spec.place.ledger_url, lambda ledger: to_mlflow(ledger, self.uri, plan), self.emit):
            super()._train()
        self.trained_s = time.time()
        from koboshi.registry.mlflow_delivery import deliver, hand_over

        outbox = Outbox.of(self.folder)
        with closing(Ledger(self.spec.place.ledger_url)) as ledger:
            record = TrainingRecord(plan.experiment, plan.key, params, self._unit_records(ledger))
            hand_over(outbox, ledger, self.uri, record, self.emit)
            self.waited.append(self.waiting())
            self._handed_over.set()
            self._back.wait(BACK_WITHIN_S)
            self._until_it_works(lambda: deliver(outbox, ledger, self.uri, self.emit))
        self.recorded_s = time.time()

    def _until_it_works(self, call: Callable[[], object]) -> None:
        deadline = time.monotonic() + RECORDED_WITHIN_S
        while True:
            try:
                call()
            except Transient as error:
                self.refusals.append(time.time())
                self.emit(DrillNote(note=str(error)))
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_AFTER_S)
            else:
                return

    def _unit_records(self, ledger: Ledger) -> list[UnitRecord]:
        records = []
        for name, steps in (final_steps(self.spec, ledger) or {}).items():
            state = read_checkpoint(self.spec.place.store_url, steps[-1].checkpoint)
            model, example = self._workload.fitted(name.removesuffix(CONTROL), state, self.folder / "table")
            told = [StepRecord(step.checkpoint.step, step.metrics, step.committed_at) for step in steps]
            records.append(UnitRecord(name, {"steps": len(steps)}, told, (), model, example))
        return records

    def _is_recording(self) -> bool:
        """Wait until a unit's run is being completed: it has what only a record writes, and is not finished."""
        return eventually(
            lambda: any(run.status == "RUNNING" and RECORDED in run.metrics for run in self.witness.runs()),
            BACK_WITHIN_S,
            look_s=LOOK_S,
            over=lambda: self.over,
        )

    def _wait_until_back(self, injection: Injection) -> None:
        why = why_not_healthy(self.settings, TRACKER, BACK_WITHIN_S)
        self.downs.append((injection.at_s, time.time()))
        if why:
            self.emit(DrillNote(note=why))

    def _events(self) -> Iterator[Event]:
        for begun, ended in self.downs:
            yield Event(ended, "note", f"MLflow does real work again, {ended - begun:.0f} s after it was killed")
        for at_s in self.refusals[:1]:
            yield Event(at_s, "suspicion", "MLflow does not take the record; it is tried again")
        if self.trained_s:
            yield Event(self.trained_s, "note", "the training has ended; its record waits in the outbox")
        if self.recorded_s:
            yield Event(self.recorded_s, "recovery", "the training is recorded")

    def _trained(self, units: Mapping[str, UnitSpec]) -> Mapping[str, UnitSpec]:
        """Each unit once: predictions are not compared."""
        return units


ANSWERS = 100


def mlflow_is_ours_and_well(environment: TrackerEnvironment) -> Finding:
    """Its processes are this stack's own, and a run can be written and read."""
    uri = environment.uri
    return ours_and_well("mlflow_is_ours_and_well", environment.settings, TRACKER, "MLflow", lambda: probe_mlflow(uri))


def all_answered(environment: TrackerEnvironment, injections: Sequence[Injection]) -> Finding:
    """Not one request failed, and many were answered while MLflow was away."""
    found, while_down = (
        load_environment.all_answered(environment.serving, injections),
        environment.answered_while_down(),
    )
    said = f"{found.said}; {while_down:,} of them while MLflow was away"
    return Finding(found.check, found.holds and while_down >= ANSWERS, said)


def tracker_died_twice(environment: TrackerEnvironment, injections: Sequence[Injection]) -> Finding:
    """Two processes of MLflow are gone. Where it is back within its client's patience, no delivery is refused."""
    pids = {injection.pid for injection in injections}
    holds = all(injection.took for injection in injections) and len(pids) == len(injections)
    refused = f"the delivery had to be tried again {len(environment.refusals)} times"
    return Finding(
        "tracker_died_twice", holds, f"processes {', '.join(map(str, sorted(pids, key=str)))} are gone; {refused}"
    )


def it_waited_in_the_outbox(environment: TrackerEnvironment, _injections: Sequence[Injection]) -> Finding:
    """The training ended while MLflow was away, and its record was a file on disk until MLflow had it."""
    (killed, back), *_ = [*environment.downs, (0.0, 0.0)]
    early = back - environment.trained_s
    holds = killed < environment.trained_s < back and environment.waited == [1] and environment.waiting() == 0
    waited = f"{sum(environment.waited)} entries waited in the outbox then, {environment.waiting()} are there now"
    return Finding(
        "it_waited_in_the_outbox", holds, f"the training ended {early:.1f} s before MLflow was back; {waited}"
    )


def one_run_each_and_no_ghost(environment: TrackerEnvironment, _injections: Sequence[Injection]) -> Finding:
    """One parent, one child of it for each unit, all finished, each with one model that is ready; and nothing else."""
    return Finding.unless(
        "one_run_each_and_no_ghost",
        list(ghosts(environment.witness, environment.spec.key, environment.units)),
        f"one parent and {len(environment.units)} children, finished, each with one ready model",
    )


def every_metric_is_there(environment: TrackerEnvironment, _injections: Sequence[Injection]) -> Finding:
    """In finished runs each step's metrics are there once, with the values in the job's own journal."""
    told = _told_by_the_job(environment)
    wrong, values = [], 0
    for run in (run for run in environment.witness.runs() if run.status == "FINISHED"):
        for metric, steps in told[run.unit].items():
            found = environment.witness.history(run, metric)
            values += len(found)
            if found != sorted(steps.items()):
                wrong.append(f"{metric} of {run.unit} has {len(found)} values, the job told {len(steps)}")
    counted = {unit: len(next(iter(told[unit].values()), ())) for unit in environment.units}
    if missing := [unit for unit, count in counted.items() if count != environment.spec.units[unit].steps]:
        wrong.append(f"the job's journal does not tell of every step of {', '.join(missing)}")
    if values == 0:
        wrong.append("no finished run has a metric of a step")
    return Finding.unless("every_metric_is_there", wrong, f"{values} values by step, as the job told them, each once")


def _told_by_the_job(environment: TrackerEnvironment) -> Mapping[str, dict[str, dict[int, float]]]:
    """By unit, metric and step: the values in the job's journal."""
    told: defaultdict[str, dict[str, dict[int, float]]] = defaultdict(dict)
    for done in environment.happened(StepDone):
        for name, value in done.metrics.items():
            told[done.unit].setdefault(name, {})[done.step] = value
    return told


DRILL: Drill[TrackerEnvironment] = Drill(
    name="tracker-killed",
    claim="While MLflow is away predictions go on, all right, and the training runs to its end; the outbox delivers "
    "its record afterwards, without a ghost run, also when MLflow dies in the middle of that.",
    fault="SIGKILL of MLflow in the middle of a training, to be away beyond its end, and again in the delivery",
    layer="tracking",
    environment=TrackerEnvironment,
    steady=(mlflow_is_ours_and_well, of("serving", load_environment.champion_is_served), ray_has_nodes, ray_is_idle),
    inject=TrackerEnvironment.kill_the_tracker_twice,
    within_s=300,
    verdict=(
        tracker_died_twice,
        all_answered,
        of("serving", load_environment.all_right),
        it_waited_in_the_outbox,
        one_run_each_and_no_ghost,
        every_metric_is_there,
    ),
    faults=2,
)
