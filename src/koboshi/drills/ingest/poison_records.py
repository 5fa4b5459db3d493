"""poison-records: records that no decoder can take, and such as come twice, in the middle of a stream."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby

from koboshi.datasets import span_records
from koboshi.datasets.pinning import pin
from koboshi.drills.declared import stream_of
from koboshi.drills.drill import Drill, Event, Evidence, Finding, Injection, first_after, seconds_after
from koboshi.drills.ingest.lander_run import KOBOSHI, LanderKind, Order
from koboshi.drills.ingest.landing_environment import TopicEnvironment, landed_evidence
from koboshi.drills.kit.confluent_topic import Sent, kafka_works, landed_equals_the_broker
from koboshi.drills.kit.own_run import eventually
from koboshi.drills.workload import SOUND, Decoded, MeantRecord, StreamWorkload
from koboshi.events import Sink
from koboshi.ledger import Ledger
from koboshi.settings import Settings

MEBIBYTE = 1024 * 1024
TOPIC_TAKES_BYTES, OVERSIZED_BYTES, TOO_LARGE_BYTES = 12 * MEBIBYTE, 10 * MEBIBYTE, 13 * MEBIBYTE
PARTITIONS, SOUND_RECORDS, SPAN_RECORDS = 2, 2_000, 500
ENDS_WITHIN_S = 120.0


class PoisonEnvironment(TopicEnvironment):
    """The topic takes records that are larger than what the lander fetches at once, and refuses still larger ones."""

    def __init__(self, settings: Settings, emit: Sink, lander: LanderKind = KOBOSHI) -> None:
        """Nothing is done yet."""
        limit = {"max.message.bytes": str(TOPIC_TAKES_BYTES)}
        super().__init__(settings, emit, lander, partitions=PARTITIONS, topic_settings=limit)
        self._workload: StreamWorkload = stream_of(settings)
        self.placed: list[tuple[MeantRecord, Sent]] = []
        self.refused: Sent | None = None

    def begin(self) -> None:
        """Send the first half of the sound records, and start the lander."""
        self.make_topic()
        meant = self._workload.records(SOUND_RECORDS, OVERSIZED_BYTES)
        sound = [record for record in meant if record.kind == SOUND]
        self._poison = [record for record in meant if record.kind != SOUND]
        self._later = sound[SOUND_RECORDS // 2 :]
        self._send(sound[: SOUND_RECORDS // 2])
        state_dir, over = str(self.state_dir), str(self.folder / "over")
        self.lander = self.start_lander(
            Order(self.bootstrap_servers, self.topic.name, state_dir, SPAN_RECORDS, until=over)
        )

    def poison(self) -> list[Injection]:
        """Undecodable, of a wrong schema, oversized, said again: one injection each, took if the broker took it all."""
        return [self._inject(kind, list(records)) for kind, records in groupby(self._poison, lambda r: r.kind)]

    def finish(self, limit_s: float) -> Finding:
        """Send one that is too large for the topic, and sound records again; wait until all are landed."""
        (self.refused,) = self.topic.fill([(0, None, b"x" * TOO_LARGE_BYTES)])
        self._send(self._later)
        offsets = sum(self.topic.ends().values())
        eventually(lambda: self.landed_offsets() >= offsets, limit_s, over=lambda: self.lander.has_ended)
        (self.folder / "over").touch()
        return self.landing_ended(
            self.lander, ENDS_WITHIN_S, lambda: f"the lander went on to the end: {self.landed_offsets():,} offsets"
        )

    def landed_offsets(self) -> int:
        """How far the lander says it is, over all partitions."""
        return sum(t["end"] - t["start"] for t in self.told() if t["event"] == "landed")

    def decoded(self) -> Decoded:
        """What the project makes of what was landed, by the way of its pipeline: pinned, verified, decoded."""
        folder = self.folder / "decoded"
        folder.mkdir(exist_ok=True)
        with closing(Ledger(self.ledger_url)) as ledger:
            cut, _ = pin(ledger, self.state_dir, [self.topic.name], self.folder / "cut.json")
            return self._workload.decode(span_records.read(ledger, self.state_dir, cut), folder)

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """Recovered: the first records landed after the last poison."""
        told, last = self.told(), injections[-1]
        landed = first_after(told, last, "landed")
        to = f"partition {landed['partition']} is landed to {landed['end']:,}" if landed else ""
        events = [Event(landed["at"], "recovery", to)] if landed else []
        return landed_evidence(told, self.tally()).plus(seconds_after(last, recovered_after_s=landed), events)

    def _send(self, records: Sequence[MeantRecord]) -> list[Sent]:
        rows = [(number % PARTITIONS, record.key, record.value) for number, record in enumerate(records)]
        sent = self.topic.fill(rows)
        self.placed += zip(records, sent, strict=True)
        return sent

    def _inject(self, kind: str, records: Sequence[MeantRecord]) -> Injection:
        at_s, at_monotonic = time.time(), time.monotonic()
        sent = self._send(records)
        took = not any(one.refused for one in sent)
        detail = f"{len(sent)} {kind}, the first at offset {sent[0].offset} of partition {sent[0].partition}"
        return Injection("poison", "the topic", at_s, at_monotonic, took, None, detail)


Place = tuple[int, int]
NAMED = 3


def refused_at_the_door(environment: PoisonEnvironment, _injections: Sequence[Injection]) -> Finding:
    """What is larger than the topic takes never gets in, and its producer is told."""
    why = environment.refused.refused if environment.refused else ""
    said = f"a record of {TOO_LARGE_BYTES:,} bytes was {f'refused at the producer ({why})' if why else 'taken'}"
    return Finding("refused_at_the_door", bool(why), said)


def each_counted_once(environment: PoisonEnvironment, injections: Sequence[Injection]) -> Finding:
    """Each poisoned record is one dead letter or one duplicate, and every sound one is a row."""
    meant = {(sent.partition, sent.offset): record for record, sent in environment.placed if not sent.refused}
    decoded = environment.decoded()
    wrong = list(miscounted(meant, decoded))
    if not all(injection.took for injection in injections):
        wrong.append("the broker did not take all poison")
    counts = f"{len(decoded.rows):,} rows, {decoded.duplicates} duplicates, {len(decoded.dead_letters)} dead letters"
    more = [f"and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else []
    return Finding.unless(
        "each_counted_once", [*wrong[:NAMED], *more], f"{len(meant):,} records: {counts}, each counted once"
    )


def miscounted(meant: Mapping[Place, MeantRecord], decoded: Decoded) -> Iterator[str]:
    """Sentences on what was counted otherwise than it was meant; pure."""
    dead = Counter(decoded.dead_letters)
    for (partition, offset), record in sorted(meant.items()):
        wanted = int(record.fate == "dead letter")
        if dead[partition, offset] != wanted:
            times = dead[partition, offset]
            yield f"partition {partition}: offset {offset} ({record.kind}) is {times} dead letters, not {wanted}"
    if strangers := sorted(dead.keys() - meant.keys()):
        yield f"partition {strangers[0][0]}: offset {strangers[0][1]} is a dead letter, and was never sent"
    duplicates = sum(record.fate == "duplicate" for record in meant.values())
    if decoded.duplicates != duplicates:
        yield f"{decoded.duplicates} duplicates were counted, {duplicates} were sent"
    rows, wanted_rows = Counter(decoded.rows), {record.row for record in meant.values() if record.fate == "row"}
    for name in sorted(wanted_rows | rows.keys()):
        if rows[name] != int(name in wanted_rows):
            yield f"row {name} is there {rows[name]} times"
            return


DRILL: Drill[PoisonEnvironment] = Drill(
    name="poison-records",
    claim="Poison in the stream does not stop the landing: each such record is counted once, in dead letters or "
    "duplicates, and everything else is there.",
    fault="undecodable, wrong, oversized and doubled records in the stream",
    layer="ingest",
    environment=PoisonEnvironment,
    steady=(kafka_works,),
    inject=PoisonEnvironment.poison,
    within_s=120,
    verdict=(refused_at_the_door, landed_equals_the_broker, each_counted_once),
    faults=4,
)
