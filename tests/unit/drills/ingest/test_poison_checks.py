"""The checks of the poison drill can fail, each record for itself; and the project's loan is read or refused."""

from typing import Any

import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.ingest.poison_records import each_counted_once, miscounted, refused_at_the_door
from koboshi.drills.kit.confluent_topic import Sent
from koboshi.drills.workload import SOUND, Decoded, MeantRecord, lent
from koboshi.errors import NotConfigured

RECORDS = {
    (0, 0): MeantRecord(SOUND, None, b"1", "row", "1"),
    (1, 0): MeantRecord(SOUND, None, b"2", "row", "2"),
    (0, 1): MeantRecord("undecodable", None, b"{", "dead letter"),
    (1, 1): MeantRecord("repeated", None, b"1", "duplicate", "1"),
}
GOOD = Decoded(["1", "2"], [(0, 1)], 1)


class Environment:
    def __init__(self, decoded: Decoded) -> None:
        self.placed = [(record, Sent(*place)) for place, record in RECORDS.items()]
        self.refused: Sent | None = Sent(0, -1, "MSG_SIZE_TOO_LARGE")
        self.decoded_as = decoded

    def decoded(self) -> Decoded:
        return self.decoded_as


def injection(took: bool = True) -> Injection:
    return Injection("poison", "the topic", 1.0, 1.0, took)


def test_both_hold_on_good_evidence() -> None:
    environment: Any = Environment(GOOD)
    assert refused_at_the_door(environment, []).holds
    found = each_counted_once(environment, [injection()])
    assert (found.holds, found.said) == (
        True,
        "4 records: 2 rows, 1 duplicates, 1 dead letters, each counted once",
    )


@pytest.mark.parametrize(
    ("decoded", "said"),
    [
        (Decoded(["1", "2"], [], 1), "partition 0: offset 1 (undecodable) is 0 dead letters, not 1"),
        (Decoded(["1", "2"], [(0, 1), (0, 1)], 1), "partition 0: offset 1 (undecodable) is 2 dead letters, not 1"),
        (Decoded(["1", "2"], [(0, 1), (1, 0)], 1), "partition 1: offset 0 (sound) is 1 dead letters, not 0"),
        (Decoded(["1", "2"], [(0, 1), (3, 7)], 1), "partition 3: offset 7 is a dead letter, and was never sent"),
        (Decoded(["1", "2"], [(0, 1)], 0), "0 duplicates were counted, 1 were sent"),
        (Decoded(["1", "1", "2"], [(0, 1)], 1), "row 1 is there 2 times"),
        (Decoded(["1"], [(0, 1)], 1), "row 2 is there 0 times"),
        (Decoded(["1", "2", "9"], [(0, 1)], 1), "row 9 is there 1 times"),
    ],
)
def test_what_is_counted_otherwise_is_named(decoded: Decoded, said: str) -> None:
    assert list(miscounted(RECORDS, decoded)) == [said]
    environment: Any = Environment(decoded)
    assert not each_counted_once(environment, [injection()]).holds


def test_many_wrong_ones_are_not_all_named() -> None:
    environment: Any = Environment(Decoded([], [(0, 0), (1, 0), (1, 1)], 0))
    assert each_counted_once(environment, [injection()]).said.endswith("and 3 more")


def test_poison_that_the_broker_did_not_take_proves_nothing() -> None:
    environment: Any = Environment(GOOD)
    found = each_counted_once(environment, [injection(), injection(took=False)])
    assert (found.holds, found.said) == (False, "the broker did not take all poison")


def test_a_record_that_should_have_been_refused_is_told() -> None:
    environment: Any = Environment(GOOD)
    for refused in (None, Sent(0, 17)):
        environment.refused = refused
        found = refused_at_the_door(environment, [])
        assert not found.holds
        assert found.said.endswith("taken")


@pytest.mark.parametrize(
    ("target", "said"),
    [(None, "set drills.stream"), ("pipelines.drill_stream:NOTHING", "cannot be loaded"), ("nowhere:X", "nowhere")],
)
def test_a_stream_that_is_not_there_is_refused(target: str | None, said: str) -> None:
    with pytest.raises(NotConfigured, match=said):
        lent("stream", target)
