"""Each check of the landing drills can fail, and says what is wrong: evidence is taken away piece by piece."""

import copy
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.ingest.lander_run import Order, is_whole, named_by_the_ledger, told_in
from koboshi.drills.ingest.landing_environment import files_equal_the_controls, landed_per_second, landing_evidence
from koboshi.drills.ingest.landing_killed import (
    AFTER_THE_ROW,
    BEFORE_THE_ROW,
    IN_A_FILE,
    killed_where_it_hurts,
    where_it_was,
)
from koboshi.drills.ingest.zombie_lander import token_gone_back, zombie_committed_nothing
from koboshi.drills.kit import confluent_topic
from koboshi.drills.kit.confluent_topic import compare, landed_equals_the_broker, tally
from koboshi.ingest.landing import Lander
from koboshi.ledger import Ledger
from tests.support.memory_stream import MemoryBroker, MemoryStream

INJECTION = Injection("SIGKILL", "lander", at_s=100.0, at_monotonic=10.0, took=True, pid=11)


class Ended:
    """A process that has ended."""

    def __init__(self, code: int) -> None:
        self.code = code

    def ended(self, _limit_s: float) -> int:
        return self.code

    def last_words(self) -> str:
        return "taken over"


class Topic:
    name, partitions, bootstrap_servers = "t", 2, "unused"

    def ends(self) -> dict[int, int]:
        return {0: 25, 1: 7}


@pytest.fixture(scope="module")
def stream() -> MemoryStream:
    stream = MemoryStream()
    stream.make("t", 25, 7)
    return stream


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory, stream: MemoryStream) -> Path:
    """Two folders into which the same stream was landed."""
    folder = tmp_path_factory.mktemp("landed")
    for name in ("state", "control"):
        ledger = Ledger(f"sqlite:///{folder / name / 'ledger.db'}")
        Lander(ledger, stream, folder / name, "me", span_records=10).land_topic("t")
        ledger.close()
    return folder


class Environment:
    """What the checks look at."""

    def __init__(self, folder: Path, stream: MemoryStream) -> None:
        self.stream = stream
        self.ledger_url = f"sqlite:///{folder / 'state' / 'ledger.db'}"
        self.state_dir, self.control_dir, self.topic = folder / "state", folder / "control", Topic()
        self.killed_at, self.first = [IN_A_FILE, BEFORE_THE_ROW, AFTER_THE_ROW], Ended(65)

    def counted(self, state_dir: Path) -> list[Path]:
        return named_by_the_ledger(state_dir, "t")

    def tally(self) -> Any:
        return tally(self.counted(self.state_dir), self.topic.ends())

    def whole_files(self) -> list[Path]:
        return [path for path in self.state_dir.glob("spans/t/*/*") if not path.name.startswith(".")]

    def torn_files(self) -> list[Path]:
        return list(self.state_dir.glob("spans/t/*/.part-*"))


class Broker(MemoryBroker):
    def close(self) -> None:
        pass


@pytest.fixture
def environment(landed: Path, stream: MemoryStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of its own, to spoil."""
    environment = Environment(Path(shutil.copytree(landed, tmp_path / "landed")), copy.deepcopy(stream))
    monkeypatch.setattr(confluent_topic, "ConfluentBroker", lambda _servers: Broker(environment.stream))
    return environment


CHECKS = (landed_equals_the_broker, files_equal_the_controls, zombie_committed_nothing)


def test_all_checks_hold_on_good_evidence(environment: Any) -> None:
    for check in (*CHECKS, killed_where_it_hurts):
        assert check(environment, [INJECTION]).holds, check(environment, [INJECTION]).said
    assert (
        landed_equals_the_broker(environment, []).said
        == "audit: equal in every partition, 32 records, each landed once"
    )


def _twice(environment: Any) -> None:
    first = environment.counted(environment.state_dir)[0]
    environment.counted = lambda state_dir: [*named_by_the_ledger(state_dir, "t"), first]


def _not_all(environment: Any) -> None:
    environment.counted = lambda state_dir: named_by_the_ledger(state_dir, "t")[1:]


def _less_on_the_broker(environment: Any) -> None:
    environment.topic.ends = lambda: {0: 24, 1: 7}


def _another_record(environment: Any) -> None:
    held = environment.stream.partitions["t"][0]
    held[12] = (12, 0, b"another", None, [])


def _topic_gone(environment: Any) -> None:
    environment.stream.ids.clear()


def _a_partition_of_no_span(environment: Any) -> None:
    environment.topic.partitions = 3


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_twice, "partition 0: offset 0 is doubled, and 9 more"),
        (_not_all, "partition 0: offset 0 is missing, and 9 more"),
        (_less_on_the_broker, "partition 0: offset 24 is not on the broker"),
        (_another_record, "audit: partition 0 is different at offset 12"),
        (_topic_gone, "audit: partition 0 is no longer on the broker; audit: partition 1 is no longer on the broker"),
        (_a_partition_of_no_span, "the audit knows nothing of 1 partitions"),
    ],
)
def test_landed_equals_the_broker_fails(environment: Any, damage: Callable[[Any], None], said: str) -> None:
    damage(environment)
    found = landed_equals_the_broker(environment, [])
    assert (found.holds, found.said) == (False, said)


def test_files_equal_the_controls_fails(environment: Any) -> None:
    """By a byte, by a file too few, and when there is no control at all."""
    path = environment.counted(environment.control_dir)[0]
    path.write_bytes(path.read_bytes() + b"x")
    found = files_equal_the_controls(environment, [])
    assert not found.holds
    assert found.said.startswith("1 files are not those of the undisturbed lander: spans/t/0/0-10-")
    environment.counted = lambda state_dir: (
        [] if state_dir == environment.control_dir else named_by_the_ledger(state_dir, "t")
    )
    assert not files_equal_the_controls(environment, []).holds
    environment.counted = lambda _state_dir: []
    assert not files_equal_the_controls(environment, []).holds


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(0, 0, 5, 1), (1, 0, 5, 1), (0, 5, 9, 2), (1, 5, 9, 1)], ""),
        (
            [(0, 0, 5, 2), (1, 0, 5, 1), (0, 5, 9, 1)],
            "partition 0: [5, 9) was committed under token 1, after token 2 had taken over",
        ),
    ],
)
def test_a_token_that_goes_back_is_named(rows: list[tuple[int, int, int, int]], said: str) -> None:
    """I3: each partition has its own tokens."""
    assert token_gone_back(rows) == said


def test_a_zombie_that_ended_well_was_not_refused(environment: Any) -> None:
    environment.first = Ended(0)
    found = zombie_committed_nothing(environment, [INJECTION])
    assert (found.holds, found.said) == (False, "the zombie ended with 0: taken over")


@pytest.mark.parametrize(
    ("killed", "took"),
    [
        ([IN_A_FILE, BEFORE_THE_ROW, BEFORE_THE_ROW], True),
        (["while it read", BEFORE_THE_ROW, AFTER_THE_ROW], True),
        ([IN_A_FILE, BEFORE_THE_ROW], True),
        ([IN_A_FILE, BEFORE_THE_ROW, AFTER_THE_ROW], False),
    ],
)
def test_killed_where_it_hurts_fails(environment: Any, killed: list[str], took: bool) -> None:
    environment.killed_at = killed
    assert not killed_where_it_hurts(environment, [INJECTION, Injection("SIGKILL", "lander", 1.0, 1.0, took)]).holds


def test_where_a_lander_was_is_read_from_its_last_word_and_what_it_left(environment: Any) -> None:
    """Files that were there before its last word are none of its own."""
    told, folder = told_in(environment.state_dir), environment.state_dir / "spans/t/0"
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    assert where_it_was(environment) == "before it read"
    told.record("reading", partition=0, start=0, end=10)
    assert where_it_was(environment) == "while it read"
    (folder / ".part-1").write_bytes(b"PAR1 and no end")
    _touch_after(folder / ".part-1")
    assert where_it_was(environment) == IN_A_FILE
    shutil.move(folder / ".part-1", folder / "0-10-ab.parquet")
    assert where_it_was(environment) == BEFORE_THE_ROW
    told.record("landed", partition=0, start=0, end=10, records=10)
    assert where_it_was(environment) == AFTER_THE_ROW


def _touch_after(path: Path) -> None:
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))


def test_a_file_is_whole_when_it_has_its_end(environment: Any, tmp_path: Path) -> None:
    path = tmp_path / ".part-1"
    assert is_whole(path), "it was renamed"
    for data, whole in ((b"", False), (b"PAR1", False), (b"PAR1abc", False), (b"PAR1abcPAR1", True)):
        path.write_bytes(data)
        assert is_whole(path) == whole
    assert all(map(is_whole, environment.whole_files()))


def test_an_order_is_read_as_it_was_written(tmp_path: Path) -> None:
    until = tmp_path / "over"
    order = Order("b:9092", "t", str(tmp_path), 5, 1.0, 2.0, "renamed", str(until))
    assert Order.read(order.written()) == order
    assert not order.is_last_round
    until.touch()
    assert order.is_last_round


def told(*events: tuple[float, str, int]) -> Sequence[dict[str, Any]]:
    return [
        {"at": at + 90, "monotonic": at, "event": name, "partition": 0, "start": start, "end": start + 5, "records": 5}
        for at, name, start in events
    ]


def test_the_evidence_is_what_the_landers_told_after_the_last_injection() -> None:
    journal = told((9.0, "reading", 0), (12.0, "reading", 0), (13.5, "landed", 0), (13.6, "reading", 5))
    found = landing_evidence(journal, [INJECTION], compare({0: Counter({0: 2})}, {0: 2}))
    assert found.measures == {
        "lost": 1,
        "doubled": 1,
        "redone": 1,
        "detected_after_s": 2.0,
        "recovered_after_s": 3.5,
    }
    assert [(event.at_s, event.kind) for event in found.events] == [(102.0, "suspicion"), (103.5, "recovery")]
    assert landing_evidence(journal[:1], [INJECTION], compare({}, {})).measures.keys() == {"lost", "doubled", "redone"}


def test_records_landed_are_summed_for_each_second() -> None:
    landed = told((1.0, "landed", 0), (1.9, "landed", 5), (2.5, "reading", 10), (4.2, "landed", 10))
    assert landed_per_second(landed).points == [(91.0, 10.0), (92.0, 0.0), (93.0, 0.0), (94.0, 5.0)]
    assert landed_per_second([]).points == []
