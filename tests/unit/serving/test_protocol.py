import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.serving.protocol import BadRequest, Column, parse, supports

SIGNATURE = (Column("a", "double"), Column("b", "long"), Column("c", "string", required=False))
COLUMNS = {"a": [1.0, 2.5], "b": [1, 2]}
RECORDS = [{"a": 1.0, "b": 1}, {"a": 2.5, "b": 2}]


def _parse(content, signature=SIGNATURE):
    return parse(json.dumps(content).encode(), signature)


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["b", "a"], "data": [[1, 1], [2, 2.5]]}},
        {"dataframe_split": {"columns": ["a", "b", "x"], "data": [[1, 1, 0], [2.5, 2, 0]], "index": [7, 8]}},
        {"dataframe_records": RECORDS},
        {"dataframe_records": [{**record, "unknown": "ignored"} for record in RECORDS]},
        {"inputs": COLUMNS},
        {"inputs": RECORDS},
        {"instances": RECORDS},
        {"instances": COLUMNS},
        {"instances": RECORDS, "something": "else"},
    ],
)
def test_every_format_says_the_same(content):
    """All ways to write a table come out as the signature's columns, in its order."""
    columns = _parse(content)
    assert columns == COLUMNS
    assert list(columns) == ["a", "b"]


def test_an_optional_column_is_taken_when_it_is_there():
    """A column that is not required may be missing, and is checked when it is not."""
    assert _parse({"inputs": {**COLUMNS, "c": ["x", "y"]}})["c"] == ["x", "y"]
    with pytest.raises(BadRequest, match="column c, row 1"):
        _parse({"inputs": {**COLUMNS, "c": ["x", 2]}})


def test_scalars_are_one_row():
    """A record in place of columns is one row."""
    assert _parse({"inputs": {"a": 1, "b": 2}}) == {"a": [1.0], "b": [2]}


def test_null_is_a_missing_number():
    """MLflow reads null as NaN where the column is real."""
    assert math.isnan(_parse({"inputs": {"a": [None], "b": [1]}})["a"][0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "none of them"),
        ({"inputs": COLUMNS, "instances": RECORDS}, "inputs, instances"),
        ([1], "JSON object"),
        ({"dataframe_split": {"columns": ["a"]}}, "columns and data"),
        ({"dataframe_split": {"columns": ["a"], "data": [], "more": 1}}, "nothing else"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "different names"),
        ({"dataframe_split": {"columns": [1, 2], "data": [[1, 2]]}}, "different names"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}, "2 values each"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "index": []}}, "1 entries"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": []}}, "no rows"),
        ({"dataframe_records": COLUMNS}, "list of records"),
        ({"dataframe_records": [{"a": 1, "b": 1}, {"a": 1}]}, "record 1 lacks column b"),
        ({"inputs": [[1, 2]]}, "records or columns"),
        ({"inputs": {"a": [1]}}, "column b is missing"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "column b has 1 values, others have 2"),
        ({"inputs": {"a": ["1.5"], "b": [1]}}, "column a, row 0"),
        ({"inputs": {"a": [1], "b": [1.5]}}, "column b, row 0: 1.5 does not fit type long"),
        ({"inputs": {"a": [1], "b": [None]}}, "column b"),
        ({"inputs": {"a": [1], "b": [2**63]}}, "column b"),
        ({"inputs": {"a": [10**400], "b": [1]}}, "column a"),
        ({"inputs": {"a": [{"x": 1}], "b": [1]}}, "column a"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_reason(content, says):
    """A 400 says what to change: the format, the row or the column by name."""
    with pytest.raises(BadRequest, match=says):
        _parse(content)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(body):
    """Nothing but a JSON object in UTF-8 is read."""
    with pytest.raises(BadRequest):
        parse(body, SIGNATURE)


def test_each_type_takes_its_own_values():
    """Booleans, 32-bit integers and text; nothing is converted silently."""
    signature = (Column("flag", "boolean"), Column("small", "integer"), Column("name", "string"))
    good = {"flag": [True], "small": [-(2**31)], "name": ["x"]}
    assert _parse({"inputs": good}, signature) == good
    for wrong in ({"flag": [1]}, {"small": [2**31]}, {"name": [None]}):
        with pytest.raises(BadRequest, match=next(iter(wrong))):
            _parse({"inputs": {**good, **wrong}}, signature)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "columns", "data"]), inner)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances"]),
)
def test_any_json_is_parsed_or_refused(content, name):
    """Never an exception of another kind, and what is parsed is a full table."""
    try:
        columns = _parse({name: content})
    except BadRequest:
        return
    assert {len(values) for values in columns.values()} in ({len(columns["a"])}, set())
    assert all(isinstance(value, float) for value in columns["a"])


@pytest.mark.parametrize(
    ("content_type", "read"),
    [
        ("application/json", True),
        ("application/json; charset=UTF-8", True),
        ("application/json;", True),
        ("application/json; charset=latin-1", False),
        ("application/json; version=2", False),
        ("text/csv", False),
        ("", False),
        (None, False),
    ],
)
def test_only_json_in_utf8_is_read(content_type, read):
    """Anything else is a 415."""
    assert supports(content_type) is read
