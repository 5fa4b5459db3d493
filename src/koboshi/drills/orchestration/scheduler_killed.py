"""scheduler-killed: SIGKILL of the scheduler in the middle of a landing, and again in the middle of a training."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from koboshi.drills.drill import Drill, Evidence, Finding, Injection, Series, of
from koboshi.drills.kit.confluent_topic import OwnTopic, Tally, kafka_works, landed_equals_the_broker, tally
from koboshi.drills.kit.faults import and_healthy, kill, processes_of
from koboshi.drills.kit.own_run import eventually
from koboshi.drills.orchestration.task_environment import (
    ASK_S,
    STAGE_COMMAND,
    TaskEnvironment,
    airflow_is_ours_and_well,
    begun_after,
    every_step_was_done_once,
)
from koboshi.drills.orchestration.train_stage import STAGE
from koboshi.drills.training.training_checks import one_job, ray_has_nodes, ray_is_idle
from koboshi.events import DrillNote, Sink
from koboshi.formats.span_files import FOLDER
from koboshi.ledger import Ledger, spans
from koboshi.orchestration.airflow_client import Run
from koboshi.settings import Settings, required

SCHEDULER = "airflow-scheduler"
# A landing whose scheduler is dead goes on until its supervisor notices: it must not be over by then, on any machine.
PARTITIONS, RECORDS, SPAN_RECORDS = 2, 80_000, 100
LANDED_SPANS = 10  # of 800: there is something to go on from, and most is still to come
MOMENT_WITHIN_S = 120.0
LOOK_S = 0.02


class SchedulerEnvironment:
    """Runs of `drill_ingest` and `drill_train` at once, in one workspace, with a topic that is filled before."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        job: Path | None = None,
        stage: Sequence[str] = STAGE_COMMAND,
    ) -> None:
        """Nothing is done yet."""
        self.settings, self.emit = settings, emit
        self.task = TaskEnvironment(settings, emit, job, stage)
        self.landing = Run("drill_ingest", self.task.run.run_id)
        self.topic = OwnTopic(required(settings.kafka.bootstrap_servers, "Kafka"), self.landing.run_id, PARTITIONS)
        self.task.beside = (self.landing,)
        self.task.ingest = {"topics": [self.topic.name], "span_records": SPAN_RECORDS}

    @property
    def state_dir(self) -> Path:
        """Spans are landed into the stack's own folder, since it is Airflow that lands them."""
        return self.settings.state_dir

    @property
    def ledger_url(self) -> str:
        """The workspace's own ledger."""
        return self.task.spec.place.ledger_url

    @property
    def _spans(self) -> Path:
        return self.state_dir / FOLDER / self.topic.name

    def begin(self) -> None:
        """Fill the topic, and have both runs begun."""
        self.topic.make()
        self.topic.fill(_records())
        self.emit(DrillNote(note=f"{RECORDS:,} records are in {self.topic.name}"))
        self.task.begin()

    def kill_the_scheduler_twice(self) -> list[Injection]:
        """SIGKILL to the scheduler's process: in the middle of the landing, then in the middle of the training."""
        task = self.task
        first = self._inject_when(self._lands, f"with {LANDED_SPANS} of {RECORDS // SPAN_RECORDS} spans landed")
        if not task.injected(first) or not task.hold():
            return task.injections
        return task.injected(self._inject_when(self._runs_again, f"during {task.at}"))

    def tally(self) -> Tally:
        """Which offsets the counted files have, compared with the broker's."""
        with closing(Ledger(self.ledger_url)) as ledger:
            files = [self.state_dir / span.path for span in spans.committed(ledger, self.topic.name)]
        return tally(files, self.topic.ends())

    def finish(self, limit_s: float) -> Finding:
        """Wait until both runs are green, and until Airflow does real work again."""
        ended = self.task.finish(limit_s)
        return and_healthy(ended, self.settings, "airflow", MOMENT_WITHIN_S, "Airflow is well again")

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """As of a killed task; and how the spans were landed, by the times of their files."""
        told, counted = self.task.evidence(injections), self.tally()
        times = sorted(path.stat().st_mtime for path in self._spans.glob("*/*.parquet"))
        points = [(at_s, float(number)) for number, at_s in enumerate(times, 1)]
        measures = {"lost": told.measures["lost"] + counted.lost, "doubled": told.measures["doubled"] + counted.twice}
        return told.plus(measures, (), [Series("spans landed", "spans", points)])

    def close(self, *, keep_files: bool) -> None:
        """Remove the topic and what was landed of it."""
        self.task.close(keep_files=keep_files)
        self.topic.delete()
        shutil.rmtree(self._spans, ignore_errors=True)

    def _inject_when(self, moment: Callable[[], bool], detail: str) -> Injection | None:
        if not eventually(moment, MOMENT_WITHIN_S, look_s=LOOK_S, over=lambda: self.task.over):
            return None
        return kill(SCHEDULER, processes_of(self.settings, SCHEDULER)[:1], detail)

    def _lands(self) -> bool:
        return sum(1 for _ in self._spans.glob("*/[0-9]*.parquet")) >= LANDED_SPANS

    def _runs_again(self) -> bool:
        """The training's task runs, in a process that was begun after the first injection."""
        time.sleep(ASK_S)
        later = begun_after(self.task.airflow.tries(self.task.run, STAGE), self.task.injections[0])
        return bool(later) and later[-1].state == "running"


def _records() -> Iterator[tuple[int, bytes | None, bytes | None]]:
    for number in range(RECORDS):
        yield number % PARTITIONS, b"%d" % number, b'{"number": %d}' % number


def both_tasks_were_interrupted(environment: SchedulerEnvironment, injections: Sequence[Injection]) -> Finding:
    """The scheduler died each time, and both the landing and the training were tried again, and succeeded."""
    task = environment.task
    tries = {"land": task.airflow.tries(environment.landing, "land"), STAGE: task.airflow.tries(task.run, STAGE)}
    told = "; ".join(f"{name}: {', '.join(str(one.state) for one in of)}" for name, of in tries.items())
    again = all(len(of) > 1 and of[-1].state == "success" for of in tries.values())
    pids = {injection.pid for injection in injections}
    holds = again and all(injection.took for injection in injections) and len(pids) == len(injections)
    return Finding("both_tasks_were_interrupted", holds, f"tries of {told}")


DRILL: Drill[SchedulerEnvironment] = Drill(
    name="scheduler-killed",
    claim="When Airflow's scheduler is killed in the middle of a landing and of a training, both runs end green: each "
    "record is landed once, and nothing is trained twice.",
    fault="SIGKILL of the scheduler in the middle of a landing, and again in the middle of a training",
    layer="orchestration",
    environment=SchedulerEnvironment,
    steady=(of("task", airflow_is_ours_and_well), kafka_works, of("task", ray_has_nodes), of("task", ray_is_idle)),
    inject=SchedulerEnvironment.kill_the_scheduler_twice,
    within_s=420,
    verdict=(
        both_tasks_were_interrupted,
        landed_equals_the_broker,
        of("task", one_job),
        of("task", every_step_was_done_once),
    ),
    faults=2,
)
