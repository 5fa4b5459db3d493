"""What the drills of the ingest share: a topic and a folder of its own, landers, and what their journal tells.

And the environment of the landing drills: faults in landers, while an undisturbed one lands the same beside them.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from koboshi.drills.drill import Event, Evidence, Finding, Injection, Series, first_after, seconds_after
from koboshi.drills.ingest.lander_run import KOBOSHI, LanderKind, LanderRun, Order, Pause, is_whole, told_in
from koboshi.drills.kit.confluent_topic import OwnTopic, Tally, tally
from koboshi.drills.kit.own_run import OwnRun
from koboshi.errors import Unavailable
from koboshi.events import CleanupFailed, DrillNote, Sink
from koboshi.files import sha256_of
from koboshi.formats.span_files import FOLDER
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange
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
        self.settings, self.emit, self._own = settings, emit, OwnRun(settings, emit)
        self.folder, self.ends = self._own.folder, self._own.ends
        self.kind = lander
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
        self.ends.close()  # who produces still, first
        for run in self.runs:
            run.stop()
        try:
            self.topic.delete()
        except Unavailable as error:  # what was found out is worth more than a clean broker
            self.emit(CleanupFailed(reason=str(error)))
        self._own.close(keep_files=keep_files)


PARTITIONS, RECORDS, PLANNED_RECORDS = 2, 18_000, 3_000
OTHER_SPAN_RECORDS = 2_000  # what a lander would plan, if there were no plan yet
VALUE_BYTES = 1_500  # of chance, written in hex: files large enough to be killed in the middle of
LEASE_S = 30.0


class LandingEnvironment(TopicEnvironment):
    """Two state folders: one whose landers get the faults, and one whose lander lands the same undisturbed."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        lander: LanderKind = KOBOSHI,
        *,
        first_pause: Pause = "",
        first_lease_s: float = LEASE_S,
    ) -> None:
        """Nothing is done yet; what begins with `first_` is ordered of the first lander."""
        super().__init__(settings, emit, lander, partitions=PARTITIONS)
        self.first_lease_s, self._first_pause = first_lease_s, first_pause
        self.killed_at: list[str] = []

    @property
    def control_dir(self) -> Path:
        """Where the undisturbed lander lands."""
        return self.folder / "control"

    def begin(self) -> None:
        """Fill the topic, write the same plan into both folders, and start the control and the first lander."""
        self.make_topic()
        self.topic.fill(_records())
        self.emit(DrillNote(note=f"{RECORDS:,} records are in {self.topic.name}"))
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
        """Start a lander without a fault, and wait until it has landed the rest, and the control everything."""
        began, last = time.monotonic(), self.next_lander()
        for who, run in (("last", last), ("undisturbed", self.control)):
            code = run.ended(limit_s)
            if code != 0:
                end = f"ended with {code}: {run.last_words()}" if code else f"had not ended after {limit_s:.0f} s"
                return Finding("landing_ended", False, f"the {who} lander {end}")
        said = f"the last lander had landed the rest {time.monotonic() - began:.1f} s after its start"
        return Finding("landing_ended", True, said)

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """From what the landers told on the way, and from the files and the broker."""
        return landing_evidence(self.told(), injections, self.tally())

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


def files_equal_the_controls(environment: LandingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """The files that count have the names and the bytes of those that the undisturbed lander made of the same plan."""
    ours, control = (
        _digests(environment.counted(folder), folder) for folder in (environment.state_dir, environment.control_dir)
    )
    differing = sorted(name for name in ours.keys() | control.keys() if ours.get(name) != control.get(name))
    said = f"{len(ours)} files, byte for byte those of the undisturbed lander"
    if differing or not control:
        said = f"{len(differing)} files are not those of the undisturbed lander: {', '.join(differing[:3])}"
    return Finding("files_equal_the_controls", bool(control) and not differing, said)


def _digests(files: Sequence[Path], folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def landing_evidence(told: Sequence[Told], injections: Sequence[Injection], tally: Tally) -> Evidence:
    """Times are those after the last injection, which no other one disturbs. A range that was read again was redone."""
    reading, landed = (first_after(told, injections[-1], event) for event in ("reading", "landed"))
    times = seconds_after(injections[-1], detected_after_s=reading, recovered_after_s=landed)
    return landed_evidence(told, tally).plus(times, _events(told, injections))


def _events(told: Sequence[Told], injections: Sequence[Injection]) -> Iterator[Event]:
    """For each injection the next lander's first reading and first commit; and each time that one had to try again."""
    for injection in injections:
        if found := first_after(told, injection, "reading"):
            yield Event(found["at"], "suspicion", f"another lander takes over: it reads {_named(found)}")
        if found := first_after(told, injection, "landed"):
            yield Event(found["at"], "recovery", f"{_named(found)} is landed")
    for t in told:
        if t["event"] == "again":
            yield Event(t["at"], "note", f"the lander tries again: {t['reason']}")


def _named(told: Told) -> str:
    return f"partition {told['partition']} [{told['start']:,}, {told['end']:,})"
