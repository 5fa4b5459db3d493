"""The scene of the landing drills: landers are struck on the way, and an undisturbed one lands the same beside them."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

from koboshi.drills.evidence import Evidence, Finding
from koboshi.drills.scenes.lander_order import Order, Pause, told_in
from koboshi.drills.scenes.lander_run import KOBOSHI, LanderKind, LanderRun, is_whole
from koboshi.drills.scenes.landing_evidence import landing_evidence
from koboshi.drills.scenes.topic_scene import TopicScene
from koboshi.drills.strike import Strike
from koboshi.formats.span_files import FOLDER
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange
from koboshi.settings import Settings

PARTITIONS, RECORDS, PLANNED_RECORDS = 2, 18_000, 3_000
OTHER_SPAN_RECORDS = 2_000  # what a lander would plan, if there were no plan yet
VALUE_BYTES = 1_500  # of chance, written in hex: files large enough to be struck in the middle
LEASE_S = 30.0


class LandingScene(TopicScene):
    """Two state folders: one whose landers are struck, and one whose lander lands the same undisturbed."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        lander: LanderKind = KOBOSHI,
        *,
        first_pause: Pause = "",
        first_lease_s: float = LEASE_S,
    ) -> None:
        """Nothing is done yet; what begins with `first_` is ordered of the first lander."""
        super().__init__(settings, say, lander, partitions=PARTITIONS)
        self.first_lease_s, self._first_pause = first_lease_s, first_pause
        self.struck: list[str] = []

    @property
    def control_dir(self) -> Path:
        """Where the undisturbed lander lands."""
        return self.folder / "control"

    def begin(self) -> None:
        """Fill the topic, write the same plan into both folders, and start the control and the first lander."""
        self.make_topic()
        self.topic.fill(_records())
        self.say(f"{RECORDS:,} records are in {self.topic.name}")
        for state_dir in (self.state_dir, self.control_dir):
            self._write_plan(state_dir)
        self.control = self.start_lander(self._order(self.control_dir, ""))
        self.first = self.start_lander(self._order(self.state_dir, self._first_pause, self.first_lease_s))

    def next_lander(self, pause: Pause = "") -> LanderRun:
        """Start one more lander."""
        return self.start_lander(self._order(self.state_dir, pause))

    def whole_files(self) -> list[Path]:
        """The files under their final names, whether they count or not."""
        return [path for path in self._files() if not path.name.startswith(".")]

    def torn_files(self) -> list[Path]:
        """Files whose writer did not come to their end."""
        return [path for path in self._files() if path.name.startswith(".") and not is_whole(path)]

    def finish(self, limit_s: float) -> Finding:
        """Start a lander that nobody strikes, and wait until it has landed the rest, and the control everything."""
        began, last = time.monotonic(), self.next_lander()
        for who, run in (("last", last), ("undisturbed", self.control)):
            code = run.ended(limit_s)
            if code != 0:
                end = f"ended with {code}: {run.last_words()}" if code else f"had not ended after {limit_s:.0f} s"
                return Finding("landing_ended", False, f"the {who} lander {end}")
        said = f"the last lander had landed the rest {time.monotonic() - began:.1f} s after its start"
        return Finding("landing_ended", True, said)

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """From what the landers told on the way, and from the files and the broker."""
        return landing_evidence(list(told_in(self.state_dir).events()), strikes, self.tally())

    def _files(self) -> Iterator[Path]:
        return (self.state_dir / FOLDER / self.topic.name).glob("*/*")

    def _order(self, state_dir: Path, pause: Pause, lease_s: float = LEASE_S) -> Order:
        return Order(self.bootstrap_servers, self.topic.name, str(state_dir), OTHER_SPAN_RECORDS, lease_s, pause=pause)

    def _write_plan(self, state_dir: Path) -> None:
        """As a lander does it before it reads; those that come later have to keep to it."""
        ledger, name = Ledger(f"sqlite:///{state_dir / 'ledger.db'}"), self.topic.name
        for partition, end in self.topic.ends().items():
            edges = [*range(0, end, PLANNED_RECORDS), end]
            lease = leases.acquire(ledger, f"land/{name}/{partition}", "drill", LEASE_S)
            ranges = [SpanRange(name, self.topic.id(), partition, begin, until) for begin, until in pairwise(edges)]
            spans.plan(ledger, lease, ranges)
            leases.release(ledger, lease)
        ledger.close()


def _records() -> Iterator[tuple[int, bytes | None, bytes | None]]:
    chance = Random(0)
    for number in range(RECORDS):
        yield number % PARTITIONS, b"%d" % number, chance.randbytes(VALUE_BYTES).hex().encode()
