"""What the drills of the ingest share: a topic and a folder of its own, landers, and what their journal tells."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from koboshi.drills.drill import Evidence, Finding, Series
from koboshi.drills.ingest.lander_run import KOBOSHI, LanderKind, LanderRun, Order, told_in
from koboshi.drills.kit.confluent_topic import OwnTopic, Tally, tally
from koboshi.drills.kit.own_run import leave, new_run_folder
from koboshi.errors import Unavailable
from koboshi.events import CleanupFailed, Sink
from koboshi.settings import Settings, required

Told = Mapping[str, Any]


def redone(told: Iterable[Told]) -> int:
    """How many readings were of a range that had been begun before."""
    begun = Counter((t["partition"], t["start"], t["end"]) for t in told if t["event"] == "reading")
    return sum(times - 1 for times in begun.values())


def landed_per_second(told: Iterable[Told]) -> Series:
    """Records by the second in which they were committed; seconds without any are zero."""
    landed = [(t["at"], t["records"]) for t in told if t["event"] == "landed"]
    begun = min((at for at, _ in landed), default=0.0)
    seconds: Counter[int] = Counter()
    for at, records in landed:
        seconds[int(at - begun)] += records
    return Series(
        "records landed", "1/s", [(begun + n, float(seconds[n])) for n in range(max(seconds, default=-1) + 1)]
    )


def landed_evidence(told: Sequence[Told], tally: Tally) -> Evidence:
    """What every landing is measured by: what is lost, doubled and was done again, and how fast records were landed."""
    measures = {"lost": float(tally.lost), "doubled": float(tally.twice), "redone": float(redone(told))}
    return Evidence(measures, (), [landed_per_second(told)])


class TopicEnvironment:
    """Nothing runs and no topic is there until the environment begins; afterwards nothing is left of either."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        lander: LanderKind = KOBOSHI,
        *,
        partitions: int = 2,
        topic_settings: Mapping[str, str] | None = None,
    ) -> None:
        """`lander` is what is put to the test."""
        self.settings, self.emit, self.kind = settings, emit, lander
        self.folder = new_run_folder(settings)
        self.bootstrap_servers = required(settings.kafka.bootstrap_servers, "Kafka")
        self.topic = OwnTopic(self.bootstrap_servers, f"drill-{self.folder.name}", partitions, topic_settings or {})
        self.runs: list[LanderRun] = []
        self._tally: Tally | None = None

    @property
    def state_dir(self) -> Path:
        """Where the landers that are put to the test land."""
        return self.folder / "state"

    @property
    def ledger_url(self) -> str:
        """The ledger of those landers."""
        return f"sqlite:///{self.state_dir / 'ledger.db'}"

    def make_topic(self) -> None:
        """The folder, and the topic, empty."""
        self.folder.mkdir(parents=True)
        self.topic.make()

    def start_lander(self, order: Order) -> LanderRun:
        """Start one more lander."""
        log = self.folder / f"lander-{len(self.runs)}.log"
        self.runs.append(LanderRun(self.kind, order, self.settings.project, log))
        return self.runs[-1]

    def told(self) -> list[Told]:
        """What the landers told, oldest first."""
        return list(told_in(self.state_dir).events())

    def landing_ended(self, run: LanderRun, limit_s: float, well: Callable[[], str]) -> Finding:
        """How a lander ended; `well` is what is said of a good end."""
        if (code := run.ended(limit_s)) == 0:
            return Finding("landing_ended", True, well())
        end = f"ended with {code}: {run.last_words()}" if code else f"had not ended after {limit_s:.0f} s"
        return Finding("landing_ended", False, f"the lander {end}")

    def counted(self, state_dir: Path) -> Sequence[Path]:
        """The files that count."""
        return self.kind.counted(state_dir, self.topic.name)

    def tally(self) -> Tally:
        """Which offsets the counted files have, compared with the broker's; looked at once, when all is over."""
        if self._tally is None:
            self._tally = tally(self.counted(self.state_dir), self.topic.ends())
        return self._tally

    def close(self, *, keep_files: bool) -> None:
        """End the landers that still run or were stopped, delete the topic, and remove the files."""
        for run in self.runs:
            run.stop()
        try:
            self.topic.delete()
        except Unavailable as error:  # what was found out is worth more than a clean broker
            self.emit(CleanupFailed(reason=str(error)))
        leave(self.folder, keep_files=keep_files, emit=self.emit)
