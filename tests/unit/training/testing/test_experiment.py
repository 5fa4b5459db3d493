"""The same value gives the same bytes, and another value gives others."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.training.testing.experiment import normal_form

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=1),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner) | st.frozensets(st.integers()),
)


@given(VALUES)
def test_a_round_trip_changes_nothing(value: object) -> None:
    assert normal_form(pickle.loads(pickle.dumps([value]))) == normal_form([value])
    assert normal_form(pickle.dumps([value], protocol=5)) == normal_form([value])


@given(VALUES, VALUES)
def test_other_values_have_other_forms(one: object, other: object) -> None:
    if pickle.dumps(one) != pickle.dumps(other) and one != other:
        assert normal_form([one]) != normal_form([other])


def test_what_is_shared_in_memory_does_not_count() -> None:
    text = "".join(["lo", "ss"])
    copies = [text, "".join(["lo", "ss"])]
    assert pickle.dumps([text, text]) != pickle.dumps(copies)
    assert normal_form([text, text]) == normal_form(copies)


def test_how_a_set_was_filled_does_not_count() -> None:
    one, other = set(), set()
    for number in (0, 8, 16):
        one.add(number)
    for number in (16, 8, 0):
        other.add(number)
    assert list(one) != list(other)
    assert normal_form({"seen": one}) == normal_form({"seen": other})
    assert normal_form({"seen": one}) != normal_form({"seen": frozenset(one)})


def test_how_an_array_lies_in_memory_does_not_count() -> None:
    rows = np.arange(12.0).reshape(3, 4)
    assert normal_form(np.asfortranarray(rows)) == normal_form(rows) == normal_form(rows[::-1][::-1])
    assert normal_form(rows) != normal_form(rows.T)
    assert normal_form(rows) != normal_form(rows.astype(np.float32))


def test_padding_does_not_count_and_fields_do() -> None:
    """scikit-learn's trees have seven bytes of it in each node, with whatever was in memory before."""
    kind = np.dtype([("value", np.float64), ("left", np.uint8)], align=True)
    one, other = (np.frombuffer(bytearray([fill] * kind.itemsize * 2), kind) for fill in (0, 255))
    for array in (one, other):
        array["value"], array["left"] = 1.5, 1
    assert one.tobytes() != other.tobytes()
    assert normal_form(one) == normal_form(other)
    other["left"][1] = 0
    assert normal_form(one) != normal_form(other)


def test_an_array_of_objects_is_its_values() -> None:
    names = np.array(["a", {"b": 1.0}], dtype=object)
    assert normal_form(names) == normal_form(pickle.loads(pickle.dumps(names)))
    assert normal_form(names) != normal_form(np.array(["a", {"b": 2.0}], dtype=object))


def test_floats_count_to_the_last_bit() -> None:
    assert normal_form(0.1 + 0.2) != normal_form(0.3)
    assert normal_form(0.0) != normal_form(-0.0)


def test_a_value_that_contains_itself_has_a_form() -> None:
    value: list[object] = [1]
    value.append(value)
    assert normal_form(value) == normal_form(pickle.loads(pickle.dumps(value)))


@pytest.mark.parametrize("state", [b"", b"weights", b"\x80\x05weights", b'{"a": 1}', b"\x80\xff."])
def test_bytes_that_are_no_pickle_are_themselves(state: bytes) -> None:
    assert normal_form(state) == state
