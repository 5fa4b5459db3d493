"""Marks are counted line by line: two too many in one line do not make up for two too few in another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.datasets.numpy_lines import each_line_has


@pytest.mark.parametrize(
    ("text", "times", "wanted"),
    [
        (b"1,2\n3,4\n", 1, True),
        (b"1,2\n3,4", 1, True),
        (b",,\n,,\n", 2, True),
        (b",\n\n,,", 1, False),
        (b"1,,2\n3\n", 1, False),
        (b"1,2\n\n", 1, False),
        (b"1\n2\n", 0, False),
        (b"1\n", 1, False),
    ],
)
def test_each_line_has_a_mark_so_many_times(text, times, wanted):
    assert each_line_has(text, b",", times, 0) is wanted
    assert each_line_has(b"a;b\n" + text, b",", times, 4) is wanted


@settings(max_examples=100)
@given(text=st.text(",,\n1", min_size=1, max_size=12).map(str.encode), times=st.integers(1, 3))
def test_it_is_what_a_loop_over_the_lines_says(text, times):
    lines = text.removesuffix(b"\n").split(b"\n")
    assert each_line_has(text, b",", times, 0) is all(line.count(b",") == times for line in lines)
