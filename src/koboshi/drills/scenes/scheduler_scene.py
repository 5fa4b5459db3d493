"""The scene of the drill that kills Airflow's scheduler twice: a landing and a training, both of the drill's own."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from koboshi.drills.evidence import Evidence, Finding, Series
from koboshi.drills.faults.parts import processes_of, why_not_healthy
from koboshi.drills.faults.signals import kill
from koboshi.drills.scenes.confluent_topic import OwnTopic
from koboshi.drills.scenes.offset_tally import Tally, tally
from koboshi.drills.scenes.task_scene import ASK_S, STAGE_COMMAND, TaskScene, begun_after
from koboshi.drills.scenes.workspace import STAGE
from koboshi.drills.strike import Strike
from koboshi.formats.span_files import FOLDER
from koboshi.ledger import Ledger, spans
from koboshi.orchestration.airflow_client import Run
from koboshi.settings import Settings, required

SCHEDULER = "airflow-scheduler"
# A landing whose scheduler is dead goes on until its supervisor notices: it must not be over by then, on any machine.
PARTITIONS, RECORDS, SPAN_RECORDS = 2, 80_000, 100
STRUCK_SPANS = 10  # of 800: there is something to go on from, and most is still to come
MOMENT_WITHIN_S = 120.0
LOOK_S = 0.02


class SchedulerScene(TaskScene):
    """Runs of `drill_ingest` and `drill_train` at once, in one workspace, with a topic that is filled before."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        job: Path | None = None,
        stage: Sequence[str] = STAGE_COMMAND,
    ) -> None:
        """Nothing is done yet."""
        super().__init__(settings, say, job, stage)
        self.landing = Run("drill_ingest", self.run.run_id)
        self.bootstrap_servers = required(settings.kafka.bootstrap_servers, "Kafka")
        self.topic = OwnTopic(self.bootstrap_servers, self.run.run_id, PARTITIONS)

    @property
    def all_runs(self) -> Sequence[Run]:
        """The landing, and the training."""
        return (self.landing, self.run)

    @property
    def _spans(self) -> Path:
        return self.settings.state_dir / FOLDER / self.topic.name

    def begin(self) -> None:
        """Fill the topic, and have both runs begun."""
        self.topic.make()
        self.topic.fill(_records())
        self._say(f"{RECORDS:,} records are in {self.topic.name}")
        super().begin()

    def kill_the_scheduler_twice(self) -> list[Strike]:
        """SIGKILL to the scheduler's process: in the middle of the landing, then in the middle of the training."""
        first = self._strike_when(self._lands, f"with {STRUCK_SPANS} of {RECORDS // SPAN_RECORDS} spans landed")
        if not self.struck(first) or not self.hold():
            return self.strikes
        return self.struck(self._strike_when(self._runs_again, f"during {self.victim}'s step {self.step}"))

    def tally(self) -> Tally:
        """Which offsets the counted files have, compared with the broker's."""
        ledger = Ledger(self.spec.place.ledger_url)
        files = [self.settings.state_dir / span.path for span in spans.committed(ledger, self.topic.name)]
        ledger.close()
        return tally(files, self.topic.ends())

    def finish(self, limit_s: float) -> Finding:
        """Wait until both runs are green, and until Airflow does real work again."""
        ended = super().finish(limit_s)
        missing = why_not_healthy(self.settings, "airflow", MOMENT_WITHIN_S)
        said = f"{ended.said}; {missing or 'Airflow is well again'}"
        return Finding(ended.check, ended.holds and missing is None, said)

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """As of a killed task; and how the spans were landed, by the times of their files."""
        told, counted = super().evidence(strikes), self.tally()
        times = sorted(path.stat().st_mtime for path in self._spans.glob("*/*.parquet"))
        points = [(at_s, float(number)) for number, at_s in enumerate(times, 1)]
        measures = {"lost": told.measures["lost"] + counted.lost, "doubled": told.measures["doubled"] + counted.twice}
        return Evidence(
            {**told.measures, **measures}, told.events, [*told.series, Series("spans landed", "spans", points)]
        )

    def close(self, *, keep_files: bool) -> None:
        """Remove the topic and what was landed of it."""
        super().close(keep_files=keep_files)
        self.topic.delete()
        shutil.rmtree(self._spans, ignore_errors=True)

    def _train(self) -> None:
        """Both runs, side by side; the first that is not green is the failure."""
        self._make_workspace()
        with ThreadPoolExecutor(1) as pool:
            landed = pool.submit(self._run_through, self.landing)
            self._run_through(self.run)
            landed.result()

    def _ingest(self) -> Mapping[str, Any]:
        return {"topics": [self.topic.name], "span_records": SPAN_RECORDS}

    def _strike_when(self, moment: Callable[[], bool], detail: str) -> Strike | None:
        deadline = time.monotonic() + MOMENT_WITHIN_S
        while not moment():
            if self.over or time.monotonic() > deadline:
                return None
            time.sleep(LOOK_S)
        return kill(SCHEDULER, processes_of(self.settings, SCHEDULER)[:1], detail)

    def _lands(self) -> bool:
        return sum(1 for _ in self._spans.glob("*/[0-9]*.parquet")) >= STRUCK_SPANS

    def _runs_again(self) -> bool:
        """The training's task runs, in a process that was begun after the first strike."""
        time.sleep(ASK_S)
        later = begun_after(self.airflow.tries(self.run, STAGE), self.strikes[0])
        return bool(later) and later[-1].state == "running"


def _records() -> Iterator[tuple[int, bytes | None, bytes | None]]:
    for number in range(RECORDS):
        yield number % PARTITIONS, b"%d" % number, b'{"number": %d}' % number
