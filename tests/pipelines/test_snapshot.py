"""The snapshot: from raw records to rows."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.datasets.span_records import RawBatch
from pipelines.decoding import MEANINGS, decode
from pipelines.snapshot import build_snapshot
from tests.support.landing import Record, record, report, transaction

BROKEN = [
    (b"{", "truncated"),
    (b"\xff\xfe{}", "malformed"),
    (None, "the record has no value"),
    (b"", "truncated"),
    (transaction(1, "2018-06-18T10:00:00")[1].ljust(65_537), "the value has 65,537 bytes, more than 65,536"),
    (b"[1]", "Expected `object`, got `array`"),
    (b'{"hello": "world"}', "missing required field `transaction_id`"),
    (transaction(1, "2018-06-18T10:00:00")[1].replace(b"1000", b"10.5"), "Expected `int`, got `float`"),
    (transaction(1, "2018-06-18T10:00:00")[1].replace(b"1000", b"true"), "Expected `int`, got `bool`"),
    (transaction(1, "2018-06-18T10:00:00")[1].replace(b"1000", b"null"), "Expected `int`, got `null`"),
    (transaction(1, "2018-06-18T10:00:00")[1].replace(b"1000", str(2**63).encode()), "amount_cents"),
    (transaction(1, "2018-06-31T10:00:00")[1], "Invalid RFC3339"),
    (transaction(1, "2018-06-18T10:00:00Z")[1], "no timezone component"),
]


def batch(records: Sequence[Record], topic: str = "transactions", partition: int = 0, start: int = 0) -> RawBatch:
    keys, values = [key for key, _ in records], [value for _, value in records]
    return RawBatch(topic, partition, range(start, start + len(records)), keys, values)


def rows_of(folder: Path) -> dict[str, bytes]:
    files = (path for name in ("transactions", "reports") for path in (folder / name).glob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def snapshot(batches: Iterable[RawBatch]) -> tuple[dict[str, bytes], dict[str, dict[str, int]]]:
    with TemporaryDirectory() as folder:
        build_snapshot(batches, Path(folder))
        return rows_of(Path(folder)), json.loads((Path(folder) / "counts.json").read_text())


@pytest.mark.parametrize(("value", "reason"), BROKEN)
def test_what_cannot_be_decoded_is_kept_with_its_place_bytes_and_reason(value: bytes | None, reason: str) -> None:
    good = transaction(7, "2018-06-18T10:00:00")
    rows, dead = decode(batch([good, (b"key", value), good], partition=3, start=40))
    assert rows.height == 2
    assert dead.drop("reason").rows() == [("transactions", 3, 41, b"key", value)]
    assert reason in dead["reason"].item()


def test_unknown_fields_and_another_order_are_no_obstacle() -> None:
    """A producer may add a field before its readers know it."""
    value = json.loads(transaction(7, "2018-06-18T10:00:00")[1])
    rows, dead = decode(batch([record(1, note="new", **dict(reversed(value.items())))]))
    assert (rows.height, dead.height) == (1, 0)
    assert rows["amount_cents"].item() == 1000


def test_records_are_rows_duplicates_and_dead_letters_and_none_is_dropped(tmp_path: Path) -> None:
    records = [
        transaction(1, "2018-06-18T10:00:00"),
        transaction(1, "2018-06-18T10:00:00"),
        transaction(2, "2018-06-18T09:00:00"),
        transaction(2, "2018-06-18T08:00:00"),
        (b"1", b"garbage"),
    ]
    counts = build_snapshot([batch(records), batch([report(1, "2018-06-20T00:00:00")], "fraud-reports")], tmp_path)
    assert counts["transactions"].records == 5 == 2 + 2 + 1
    assert (counts["transactions"].rows, counts["transactions"].duplicates) == (2, 2)
    assert (counts["transactions"].conflicting, counts["transactions"].dead_letters) == (1, 1)
    rows = pl.read_parquet(tmp_path / "transactions" / "2018-06-18.parquet")
    assert rows["transaction_id"].to_list() == [2, 1], "in order of time, the earlier one of the conflicting two"
    assert rows["tx_datetime"].dt.hour().to_list() == [8, 10]


def test_no_records_are_an_empty_snapshot(tmp_path: Path) -> None:
    counts = build_snapshot([], tmp_path)
    assert {count.records for count in counts.values()} == {0}
    assert pl.read_parquet(tmp_path / "dead_letters.parquet").height == 0
    assert rows_of(tmp_path) == {}


def test_a_later_cut_changes_only_the_days_that_it_touches() -> None:
    """DVC then stores only what is new."""
    first = [transaction(number, f"2018-06-{18 + number % 5}T10:00:00") for number in range(20)]
    more = [transaction(100, "2018-06-20T23:59:59"), transaction(101, "2018-06-23T00:00:00")]
    before, _ = snapshot([batch(first)])
    after, _ = snapshot([batch(first), batch(more, start=20)])
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"transactions/2018-06-20.parquet", "transactions/2018-06-23.parquet"}


times = st.sampled_from([f"2018-06-{day}T{hour}:00:00" for day in (18, 19, 20) for hour in ("08", "23")])
transactions = st.builds(
    transaction, st.integers(0, 12), times, st.integers(0, 3), st.integers(0, 3), st.integers(0, 500)
)
reports = st.builds(report, st.integers(0, 12), times)


@settings(max_examples=60, deadline=None)
@given(st.lists(transactions, max_size=20), st.lists(reports, max_size=8), st.randoms(use_true_random=False))
def test_rows_depend_on_the_records_alone(sales: list[Record], complaints: list[Record], chance: random.Random) -> None:
    """I4: any order, any spans and partitions, any duplicates and any garbage between: the same bytes.

    Ids come twice with other contents, so that the rule for contradictions is under test as well.
    """
    straight, counts = snapshot([batch(sales), batch(complaints, "fraud-reports")])
    disturbed = []
    for topic, records in (("transactions", sales), ("fraud-reports", complaints)):
        twice = chance.choices(records, k=5) if records else []
        sent = [*records, *twice, (b"x", b"garbage"), (None, None)]
        chance.shuffle(sent)
        border = chance.randint(0, len(sent))
        disturbed += [batch(sent[:border], topic, 1), batch(sent[border:], topic, 0, border)]
    chance.shuffle(disturbed)
    again, more = snapshot(disturbed)
    assert again == straight
    for topic in MEANINGS:
        assert more[topic]["rows"] == counts[topic]["rows"]
        assert more[topic]["conflicting"] == counts[topic]["conflicting"]
        assert more[topic]["dead_letters"] == 2
        assert more[topic]["records"] == sum(more[topic][part] for part in ("rows", "duplicates", "dead_letters"))
