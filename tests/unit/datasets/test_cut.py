import itertools
import json
from pathlib import Path

import pytest

from koboshi.datasets.pinning import Landed, advance
from koboshi.errors import BadInput, Conflict
from koboshi.formats import cut
from koboshi.formats.content_digest import add, content_digest
from koboshi.formats.cut import Cut, PartitionCut
from koboshi.refs import SpanRange, SpanRef


def digest(start: int, end: int, mark: bytes = b"v") -> str:
    return content_digest(range(start, end), [b"k"] * (end - start), [mark] * (end - start))


def span(start: int, end: int, mark: bytes = b"v") -> SpanRef:
    return SpanRef(SpanRange("t", "id", 0, start, end), f"{start}", "s", digest(start, end, mark), end - start)


def landed(*borders: int, mark: bytes = b"v") -> Landed:
    return {"t": {0: [span(a, b, mark) for a, b in itertools.pairwise(borders)]}}


def part_of(ref: SpanRef, end: int) -> str:
    return digest(ref.range.start, end)


def never(_ref: SpanRef, _end: int) -> str:
    raise AssertionError("a span was read although the pinned end is a border")


def test_a_cut_reaches_to_the_end_of_what_was_landed_wherever_the_spans_were_cut() -> None:
    """I4: the cut is the same for every partition of the stream into spans."""
    one, two = (advance(None, landed(*borders), never) for borders in ((0, 9), (0, 2, 7, 9)))
    assert one == two == Cut(topics={"t": {0: PartitionCut(start=0, end=9, content=digest(0, 9))}})


def test_it_moves_forward_over_the_records_that_were_pinned() -> None:
    pinned = advance(None, landed(0, 5), never)
    moved = advance(pinned, landed(0, 3, 5, 9), never)
    assert moved.topics["t"][0].end == 9
    assert advance(moved, landed(0, 3, 5, 9), never) == moved


def test_a_pinned_end_inside_a_span_is_compared_by_reading_that_span() -> None:
    """Another clone cuts its spans elsewhere: the same records are still the same."""
    pinned = advance(None, landed(0, 5), never)
    assert advance(pinned, landed(0, 3, 9), part_of).topics["t"][0].end == 9
    with pytest.raises(Conflict, match=r"t\[0\] holds other records below 5"):
        advance(pinned, landed(0, 3, 9), lambda ref, end: digest(ref.range.start, end, b"other"))


def test_going_back_is_refused() -> None:
    pinned = advance(None, landed(0, 5), never)
    with pytest.raises(Conflict, match="pinned up to 5, but landed only up to 3"):
        advance(pinned, landed(0, 3), never)
    with pytest.raises(Conflict, match="pinned up to 5, but landed only up to 0"):
        advance(pinned, {"other": landed(0, 3)["t"]}, never)


def test_a_gap_is_refused() -> None:
    with pytest.raises(Conflict, match=r"t\[0\] has a gap from 3 to 5"):
        advance(None, {"t": {0: [span(0, 3), span(5, 9)]}}, never)


def test_another_start_is_another_stream() -> None:
    pinned = advance(None, landed(0, 5), never)
    with pytest.raises(Conflict, match="pinned from 0, but landed from 2"):
        advance(pinned, landed(2, 9), never)


def test_other_records_are_another_stream() -> None:
    pinned = advance(None, landed(0, 5), never)
    with pytest.raises(Conflict, match=r"another stream: remove cut\.json"):
        advance(pinned, landed(0, 5, 9, mark=b"w"), never)


def test_the_file_is_the_same_for_the_same_cut_and_says_what_it_holds(tmp_path: Path) -> None:
    whole = advance(None, landed(0, 5), never)
    cut.write(tmp_path / "a.json", whole)
    cut.write(tmp_path / "b.json", Cut(topics=dict(reversed(whole.topics.items()))))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert cut.read(tmp_path / "a.json") == whole
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "format": 1,
        "topics": {"t": {"0": {"start": 0, "end": 5, "content": add([digest(0, 5)])}}},
    }


@pytest.mark.parametrize("text", ["", "{}", '{"format": 0, "topics": {}}', '{"format": 1, "topics": {}, "more": 1}'])
def test_a_file_that_is_no_cut_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "cut.json").write_text(text)
    with pytest.raises(BadInput, match=r"cut\.json is no cut of format 1"):
        cut.read(tmp_path / "cut.json")


def test_there_may_be_no_cut_yet(tmp_path: Path) -> None:
    assert cut.read(tmp_path / "cut.json") is None
