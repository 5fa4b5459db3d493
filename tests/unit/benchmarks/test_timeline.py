"""What a fault cost is read from other workers' steps only, and from commits that belong to them."""

import pytest

from benchmarks.timeline import Begun, Committed, cost, in_hand, step_s

OLD, NEW = 11, 22
BEFORE = [Begun(1, OLD, 1.0), Begun(2, OLD, 2.0), Begun(3, OLD, 3.0)]
COUNTED = [Committed(1, 1.9), Committed(2, 2.9)]


def test_recovery_ends_with_the_commit_of_what_another_worker_began() -> None:
    found = cost([*BEFORE, Begun(3, NEW, 3.8)], [*COUNTED, Committed(3, 4.6)], 3.5, {OLD})
    assert found is not None
    assert (found.begun_s, found.committed_s, found.redone) == (pytest.approx(0.3), pytest.approx(1.1), 1)


def test_a_step_that_was_done_before_the_strike_and_committed_after_it_is_no_recovery() -> None:
    late = [*COUNTED, Committed(3, 3.6)]
    assert cost(BEFORE, late, 3.5, {OLD}) is None
    assert cost([*BEFORE, Begun(4, NEW, 5.0)], late, 3.5, {OLD}) is None
    found = cost([*BEFORE, Begun(4, NEW, 5.0)], [*late, Committed(4, 6.0)], 3.5, {OLD})
    assert found is not None
    assert (found.committed_s, found.redone) == (2.5, 0)


def test_steps_that_were_committed_and_are_done_again_are_counted() -> None:
    """A peer that goes back to an older checkpoint."""
    again = [Begun(1, NEW, 9.0), Begun(2, NEW, 10.0), Begun(3, NEW, 11.0)]
    found = cost([*BEFORE, *again], [*COUNTED, Committed(1, 9.9)], 3.5, {OLD})
    assert found is not None
    assert found.redone == 3


def test_a_struck_spare_that_had_taken_over_counts_as_struck() -> None:
    begun = [*BEFORE, Begun(3, NEW, 3.6), Begun(3, 33, 8.0)]
    found = cost(begun, [*COUNTED, Committed(3, 9.0)], 3.7, {OLD, NEW})
    assert found is not None
    assert found.begun_s == pytest.approx(4.3)


def test_nothing_is_in_hand_before_the_first_step() -> None:
    assert in_hand(BEFORE, 0.5) is None
    assert in_hand(BEFORE, 2.5) == BEFORE[1]


def test_a_step_takes_the_median_from_commit_to_commit() -> None:
    """One pause of many seconds does not make steps long."""
    assert step_s([Committed(k, at) for k, at in enumerate([0.0, 0.2, 0.4, 30.0, 30.2, 30.4], 1)]) == pytest.approx(0.2)
