"""A part that dies is started again, ever more slowly; it is given up after so many quick ends, and only then."""

from hypothesis import given
from hypothesis import strategies as st

from koboshi.stack.part import (
    LONGEST_PAUSE_S,
    QUICK_END_S,
    QUICK_ENDS_ALLOWED,
    Start,
    StartHistory,
    decide_start,
    quick_ends,
)

QUICK = st.floats(0, QUICK_END_S - 0.001)
LONG = st.floats(QUICK_END_S + LONGEST_PAUSE_S, 1e6)


def lived(lives: list[float]) -> tuple[list[float], float, bool]:
    """The starts of a part that lived so long each time, the time at the end, and whether it was given up."""
    starts: list[float] = []
    now = 1_000.0
    for life in lives:
        pause_s = decide_start(starts, now)
        if pause_s is None:
            return starts, now, True
        starts.append(now + pause_s)
        now = starts[-1] + life
    return starts, now, decide_start(starts, now) is None


@given(lives=st.lists(QUICK, min_size=QUICK_ENDS_ALLOWED + 1))
def test_a_part_that_never_lasts_is_given_up_after_the_same_number_of_starts(lives):
    starts, _, given_up = lived(lives)
    assert given_up
    assert len(starts) == QUICK_ENDS_ALLOWED + 1


@given(lives=st.lists(st.one_of(QUICK, LONG), max_size=40))
def test_a_part_is_given_up_only_for_quick_ends_one_after_another(lives):
    """A life that lasted forgives all before it."""
    starts, _, given_up = lived(lives)
    run = longest = 0
    for life in lives[: len(starts)]:
        run = run + 1 if life < QUICK_END_S else 0
        longest = max(longest, run)
    assert given_up == (longest > QUICK_ENDS_ALLOWED)


@given(lives=st.lists(QUICK, max_size=QUICK_ENDS_ALLOWED))
def test_pauses_never_get_shorter_while_a_part_dies_quickly(lives):
    starts, now, _ = lived(lives)
    pauses = [decide_start(starts[:number], now) for number in range(len(starts) + 1)]
    assert pauses == sorted(pauses)
    assert all(0 <= pause <= LONGEST_PAUSE_S for pause in pauses)


@given(lives=st.lists(st.one_of(QUICK, LONG), max_size=60), kept=st.integers(QUICK_ENDS_ALLOWED + 1, 60))
def test_what_a_history_forgets_decides_nothing(lives, kept):
    """The file keeps the newest starts only."""
    starts, now, _ = lived(lives)
    assert decide_start(starts[-kept:], now) == decide_start(starts, now)


@given(lives=st.lists(QUICK, max_size=5), torn=st.integers(0, 5))
def test_a_launcher_that_dies_before_it_wrote_its_start_down_is_merely_not_counted(lives, torn, tmp_path_factory):
    """From every interrupted state: a start that is missing in the file makes no decision harder."""
    starts, now, _ = lived(lives)
    history = StartHistory(tmp_path_factory.mktemp("history") / "part.json")
    for at in starts[:torn]:
        history.add(Start(at, 1, 1))
    found = [start.at for start in history.starts()]
    assert found == starts[:torn]
    assert quick_ends(found, now) <= quick_ends(starts, now)
