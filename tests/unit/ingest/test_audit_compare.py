"""Records compared, offset by offset: what differs, what only we hold, and what of that compaction explains."""

from hypothesis import given
from hypothesis import strategies as st

from koboshi.ingest.audit import compare, explain

ROWS = [(offset, 0, b"k%d" % (offset % 2), b"v", []) for offset in range(4)]


def compared(landed, held):
    found = compare(iter(landed), iter(held))
    return found.differs_at, found.absent, found.absent_at


def test_the_lowest_offset_that_only_the_broker_has_or_has_otherwise_is_told():
    assert compared(ROWS, ROWS) == (None, 0, None)
    assert compared(ROWS[1:], ROWS) == (0, 0, None)
    assert compared([], ROWS) == (0, 0, None)
    assert compared(ROWS[:2], ROWS) == (2, 0, None)
    changed = (2, 0, b"k0", b"other", [])
    assert compared(ROWS, [*ROWS[:2], changed, ROWS[3]]) == (2, 0, None)


def test_what_only_we_hold_is_counted_up_to_the_first_difference():
    assert compared(ROWS, ROWS[2:]) == (None, 2, 0)
    assert compared(ROWS, []) == (None, 4, 0)
    assert compared(ROWS, [(3, 0, None, None, [])]) == (3, 3, 0)


def row(offset, key, value=b"v"):
    return offset, 0, key, value, []


def unexplained(landed, held):
    return compare(iter(landed), iter(held)).unexplained


def test_a_later_record_of_its_key_explains_an_absent_one():
    assert unexplained([row(0, b"a"), row(1, b"a")], [row(1, b"a")]) == {}
    assert unexplained([row(0, b"a"), row(1, b"b")], [row(1, b"b")]) == {b"a": 0}
    assert unexplained([row(0, b"a"), row(1, b"a")], []) == {b"a": 1}, "of two that are absent the newest one"


def test_a_deletion_of_the_key_explains_itself_and_those_before_it():
    assert unexplained([row(0, b"a"), row(1, b"a", None)], []) == {}
    assert unexplained([row(0, b"a", None), row(1, b"a")], []) == {b"a": 1}


def test_a_record_without_a_key_is_dropped_by_compaction():
    assert unexplained([row(0, None), row(1, b"a")], [row(1, b"a")]) == {}


def test_records_that_come_later_explain_unless_they_have_a_hole_themselves():
    for later, explained in (
        ([], False),
        ([row(1, b"b")], False),
        ([row(1, b"b"), row(2, b"a")], True),
        ([row(2, b"b")], True),
    ):
        assert explain(compare(iter([row(0, b"a")]), iter([])), 1, iter(later)) == explained, later


keys = st.sampled_from([b"a", b"b", b"c", None])
records = st.lists(st.tuples(keys, st.sampled_from([b"v", b"w", None])), max_size=12)


def compacted(rows, before, drop_deletions):
    """What Kafka's cleaner leaves of the records below an offset."""
    newest = {key: offset for offset, _, key, _, _ in rows}

    def stays(offset, key, value):
        last = key is not None and newest[key] == offset
        return offset >= before or (last and not (drop_deletions and value is None))

    return [one for one in rows if stays(one[0], one[2], one[3])]


@given(records, st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_whatever_a_cleaner_leaves_is_explained(contents, landed, cleaned, drop_deletions):
    """However far was landed and cleaned, with deletions kept and dropped; the newest file is never cleaned."""
    rows = [row(offset, key, value) for offset, (key, value) in enumerate(contents)]
    held = compacted(rows, min(cleaned, len(rows) - 1), drop_deletions)
    found = compare(iter(rows[:landed]), (one for one in held if one[0] < landed))
    assert found.differs_at is None
    assert found.absent == len(rows[:landed]) - sum(one[0] < landed for one in held)
    assert explain(found, min(landed, len(rows)), (one for one in held if one[0] >= landed))


@given(records, st.randoms(use_true_random=False))
def test_a_newest_record_that_is_not_there_is_found(contents, chance):
    """The control: of a log that was landed to its end."""
    rows = [row(offset, key, value) for offset, (key, value) in enumerate([*contents, (b"a", b"v")])]
    lost = chance.choice([one for one in {one[2]: one for one in rows if one[2]}.values() if one[3]])
    found = compare(iter(rows), (one for one in rows if one != lost))
    assert found.unexplained == {lost[2]: lost[0]}
    assert not explain(found, len(rows), iter(()))
