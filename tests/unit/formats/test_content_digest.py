import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.formats.content_digest import EMPTY, add, content_digest

Record = tuple[bytes | None, bytes | None]
records = st.lists(st.tuples(st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=8)), max_size=30)


def digest(numbered: list[tuple[int, Record]]) -> str:
    return content_digest(
        [offset for offset, _ in numbered],
        [record[0] for _, record in numbered],
        [record[1] for _, record in numbered],
    )


@given(records, st.data())
def test_digests_of_any_cut_add_up_to_that_of_the_whole(stream: list[Record], data: st.DataObject) -> None:
    """I4: however a stream was cut into spans, and in whatever order they were landed, the sum is the same."""
    numbered = list(enumerate(stream))
    borders = sorted({0, len(numbered), *data.draw(st.lists(st.integers(0, len(numbered)), max_size=5))})
    parts = [numbered[a:b] for a, b in itertools.pairwise(borders)]
    assert add(digest(part) for part in data.draw(st.permutations(parts))) == digest(numbered)


@given(records.filter(bool), st.data())
def test_loss_doubling_and_change_are_seen(stream: list[Record], data: st.DataObject) -> None:
    """I1: a record that is missing, there twice, or different changes the digest."""
    numbered = list(enumerate(stream))
    struck = data.draw(st.integers(0, len(numbered) - 1))
    offset, (key, value) = numbered[struck]
    changed = [*numbered[:struck], (offset, (key, (value or b"") + b"!")), *numbered[struck + 1 :]]
    others = [numbered[:struck] + numbered[struck + 1 :], [*numbered, numbered[struck]], changed]
    assert digest(numbered) not in [digest(other) for other in others]


def test_nothing_is_not_an_empty_string() -> None:
    assert digest([(0, (None, b"a"))]) != digest([(0, (b"", b"a"))])
    assert digest([(0, (b"ab", b"c"))]) != digest([(0, (b"a", b"bc"))])


def test_an_empty_span_is_zero() -> None:
    assert digest([]) == EMPTY == add([])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        content_digest([1, 2], [b"a"], [b"b"])
