"""Whatever bytes a record holds, decoding gives a row or a dead letter, and the snapshot of them is made."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.datasets.span_records import RawBatch
from pipelines.decoding import DEEPEST, MEANINGS, decode
from pipelines.snapshot import build_snapshot
from tests.support.fuzzing import CASES, SETTINGS, fuzzed
from tests.support.landing import report, transaction

GOOD = (transaction(7, "2018-06-18T10:00:00")[1], report(7, "2018-06-20T00:00:00")[1])
TOPICS = st.sampled_from(sorted(MEANINGS))
FIELDS = ("transaction_id", "tx_datetime", "customer_id", "terminal_id", "amount_cents", "reported_at")

# What JSON calls a number, and what it does not: as text, because not all of them can be written from a value.
NUMBERS = st.one_of(
    st.integers().map(str),
    st.sampled_from(["1e400", "-0", "0.1", "1E2", "NaN", "-Infinity", "9" * 5_000, "1" + "0" * 400, "0x1", "01"]),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64]).map(str),
    st.floats().map(repr),
)
YEARS = st.one_of(st.sampled_from([0, 1, 1582, 1677, 1970, 2262, 9999, 10_000]), st.integers(0, 99_999))
TIMES = st.builds(
    '"{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}"'.format,
    YEARS,
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from("Tt _"),
    st.integers(0, 25),
    st.integers(0, 60),
    st.integers(0, 61),
    st.sampled_from(["", ".5", ".9999999", "." + "9" * 40, ",5"]),
    st.sampled_from(["", "Z", "+00:00", "-23:59", "+24:00", "+99:99"]),
)
STRINGS = st.one_of(
    st.text(max_size=20).map(json.dumps), st.sampled_from(['"\\ud800"', '"\\u0000"', '"[[[["', '"\\x"'])
)
NESTED = st.builds(
    lambda opening, closing, deep, closed: opening * deep + closing * closed,
    st.sampled_from(["[", '{"a":', '[{"a":']),
    st.sampled_from(["]", "}", "}]", ""]),
    st.sampled_from([1, 2, 63, 64, 65, 1_000, 5_000]),
    st.sampled_from([1, 2, 63, 64, 65, 1_000, 5_000]),
)
VALUES = st.one_of(NUMBERS, TIMES, STRINGS, NESTED, st.sampled_from(["null", "true", "[]", "{}", ""]))
# Also with a field twice, without one, or with one of the other topic.
OBJECTS = st.lists(st.tuples(st.sampled_from([*FIELDS, "more"]), VALUES), max_size=7).map(
    lambda fields: "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good value with some of its bytes overwritten, left out or doubled."""
    value = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(value))), draw(st.integers(0, 4))
        value[start : start + length] = draw(st.one_of(st.binary(max_size=4), st.just(value[: 2 * length])))
    return bytes(value)


@st.composite
def with_one_field_changed(draw: st.DrawFn) -> bytes:
    """A good value but for one field: what a decoder of types has to look at most closely."""
    fields: dict[str, Any] = json.loads(draw(st.sampled_from(GOOD)))
    name = draw(st.sampled_from([*sorted(fields), "more"]))
    fields[name] = "CHANGED"
    return json.dumps(fields).replace('"CHANGED"', draw(VALUES)).encode()


BYTES = st.one_of(
    st.none(),
    st.binary(max_size=200),
    damaged(),
    with_one_field_changed(),
    OBJECTS.map(lambda text: text.encode()),
    VALUES.map(lambda text: text.encode()),
)


def batch(topic: str, values: list[bytes | None]) -> RawBatch:
    return RawBatch(topic, 0, range(len(values)), [b"key"] * len(values), values)


@fuzzed
@given(topic=TOPICS, value=BYTES)
def test_any_bytes_are_a_row_or_a_dead_letter_with_its_reason(topic: str, value: bytes | None) -> None:
    """Nothing is raised, nothing is dropped; a dead letter has the bytes as they came, and one sentence."""
    rows, dead = decode(batch(topic, [value]))
    assert rows.height + dead.height == 1
    assert dead["value"].to_list() == [value] * dead.height
    assert all(dead["reason"].to_list())


@settings(SETTINGS, max_examples=max(1, CASES // 20))
@given(st.dictionaries(TOPICS, st.lists(BYTES, max_size=5), min_size=1))
def test_a_snapshot_is_made_of_any_bytes(values: dict[str, list[bytes | None]]) -> None:
    """Records = rows + duplicates + dead letters, also at the ends of the calendar."""
    with TemporaryDirectory() as folder:
        counts = build_snapshot([batch(topic, found) for topic, found in values.items()], Path(folder))
    for topic, found in values.items():
        count = counts[topic]
        assert count.records == len(found) == count.rows + count.duplicates + count.dead_letters


@pytest.mark.parametrize("deep", [DEEPEST + 1, 1_000, 30_000])
@pytest.mark.parametrize("template", ["[%s]", '{"more":[%s]}', '{"more":"\\\\\\"[",\n"other":[%s]}', '{"a":"[%s'])
def test_what_is_nested_too_deeply_is_a_dead_letter(template: str, deep: int) -> None:
    """However much room the interpreter's stack has just then: the same bytes have to give the same rows (I4)."""
    rows, dead = decode(batch("transactions", [(template % ("[" * deep)).encode()]))
    assert (rows.height, dead["reason"].str.contains("nested").to_list()) == (0, [template[:6] != '{"a":"'])


def test_brackets_in_a_text_and_side_by_side_are_no_nesting() -> None:
    """A producer may add a field before its readers know it, with as many brackets as it likes."""
    good = GOOD[0].rstrip(b"}")
    for more in (b'"' + b"[{" * 500 + b'"', b"[" + b"{}," * 500 + b"{}]", b"[" * DEEPEST + b"]" * DEEPEST):
        fitting = more[1:-1] if more.startswith(b"[[") else more
        rows, _ = decode(batch("transactions", [good + b',"more":' + fitting + b"}"]))
        assert rows.height == 1, more[:20]
