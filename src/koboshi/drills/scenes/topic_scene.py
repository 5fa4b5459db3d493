"""What the scenes of the ingest share: a topic of the drill's own, a folder, and landers in processes of their own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from koboshi.drills.run_folder import leave, new_run_folder
from koboshi.drills.scenes.confluent_topic import OwnTopic
from koboshi.drills.scenes.lander_order import Order
from koboshi.drills.scenes.lander_run import KOBOSHI, LanderKind, LanderRun
from koboshi.drills.scenes.offset_tally import Tally, tally
from koboshi.errors import Unavailable
from koboshi.settings import Settings, required


class TopicScene:
    """Nothing runs and no topic is there until the scene begins; afterwards nothing is left of either."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        lander: LanderKind = KOBOSHI,
        *,
        partitions: int = 2,
        topic_settings: Mapping[str, str] | None = None,
    ) -> None:
        """`lander` is what is put to the test."""
        self.settings, self.say, self.kind = settings, say, lander
        self.folder = new_run_folder(settings)
        self.bootstrap_servers = required(settings.kafka.bootstrap_servers, "Kafka")
        self.topic = OwnTopic(self.bootstrap_servers, f"drill-{self.folder.name}", partitions, topic_settings or {})
        self.runs: list[LanderRun] = []
        self._tally: Tally | None = None

    @property
    def state_dir(self) -> Path:
        """Where the landers that are put to the test land."""
        return self.folder / "state"

    def make_topic(self) -> None:
        """The folder, and the topic, empty."""
        self.folder.mkdir(parents=True)
        self.topic.make()

    def start_lander(self, order: Order) -> LanderRun:
        """Start one more lander."""
        log = self.folder / f"lander-{len(self.runs)}.log"
        self.runs.append(LanderRun(self.kind, order, self.settings.project, log))
        return self.runs[-1]

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
            run.end()
        try:
            self.topic.delete()
        except Unavailable as error:  # what was found out is worth more than a clean broker
            self.say(str(error))
        leave(self.folder, keep_files=keep_files, say=self.say)
