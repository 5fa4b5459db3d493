"""A seed gives the same faults each time, in their shares, over every kit."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nemesis.schedule import DRIVER, FLIP, KILL, NODE, SHARES, STOP, dealt, draw, left_over

KITS = ("trees", "epochs", "folds")


def test_a_seed_replays_the_schedule() -> None:
    assert draw(7, 200, 16, KITS) == draw(7, 200, 16, KITS)
    assert draw(7, 200, 16, KITS) != draw(8, 200, 16, KITS)


def test_two_hundred_faults_have_the_shares_and_reach_every_kit() -> None:
    plans = draw(1, 200, 16, KITS)
    kinds = Counter(fault.kind for plan in plans for fault in plan.faults)
    assert kinds == {KILL: 90, STOP: 30, FLIP: 40, DRIVER: 24, NODE: 16}
    assert {plan.kit for plan in plans} == set(KITS)
    assert [fault.number for plan in plans for fault in plan.faults] == list(range(1, 201))


@given(st.integers(1, 500), st.lists(st.sampled_from(list(SHARES)), min_size=1, unique=True))
def test_any_number_of_faults_is_dealt_exactly_and_no_kind_is_forgotten(count: int, kinds: list[str]) -> None:
    found = Counter(dealt(count, kinds))
    assert found.total() == count
    assert set(found) <= set(kinds)
    if count >= len(kinds):
        assert set(found) == set(kinds)


@given(st.integers(), st.integers(1, 60), st.integers(1, 20))
def test_moments_and_picks_are_shares_of_what_is_there(seed: int, count: int, a_run: int) -> None:
    faults = [fault for plan in draw(seed, count, a_run, KITS) for fault in plan.faults]
    assert len(faults) == count
    assert all(0 <= fault.pick < 1 and 0 <= fault.moment < 1 and fault.after_steps >= 1 for fault in faults)


def test_faults_that_came_too_late_strike_another_training_of_the_same_kit() -> None:
    plan = draw(1, 10, 5, KITS)[1]
    rest = left_over(plan, 3, 9)
    assert rest is not None
    assert (rest.number, rest.kit, rest.faults) == (9, plan.kit, plan.faults[3:])
    assert left_over(plan, 5, 9) is None
