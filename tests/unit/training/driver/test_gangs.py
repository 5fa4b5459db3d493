"""Gangs: who belongs together, and from where they can go on whichever of their states are bad (I5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.errors import BadInput
from koboshi.refs import CheckpointRef
from koboshi.training import UnitSpec
from koboshi.training.driver.resumption import CommittedStates, agreed, gangs_of

MEMBERS = ("g/0", "g/1", "g/2")


def unit(gang: str, steps: int = 3) -> UnitSpec:
    return UnitSpec("a:b", {}, steps, gang=gang)


def test_members_are_told_in_the_order_of_their_names() -> None:
    units = {"g/1": unit("g"), "alone": unit(""), "g/0": unit("g"), "h/0": unit("h")}
    assert gangs_of(units) == {"g/0": ("g/0", "g/1"), "g/1": ("g/0", "g/1"), "h/0": ("h/0",)}


def test_members_that_would_wait_for_ever_are_refused() -> None:
    with pytest.raises(BadInput, match=r"gang g have \[3, 4\] steps"):
        gangs_of({"g/0": unit("g"), "g/1": unit("g", 4)})


class States:
    """Which steps of each member are committed, and which of these are bad."""

    def __init__(self, committed: dict[str, int], bad: set[tuple[str, int]]) -> None:
        self.committed = {member: list(range(1, done + 1)) for member, done in committed.items()}
        self.bad = bad

    def newest(self, member: str) -> int:
        while self.committed[member] and (member, self.committed[member][-1]) in self.bad:
            self.committed[member].pop()
        return self.committed[member][-1] if self.committed[member] else 0

    def is_good(self, member: str, step: int) -> bool:
        return (member, step) not in self.bad

    def go_back(self, member: str, step: int) -> int:
        self.committed[member] = [done for done in self.committed[member] if done < step]
        return self.newest(member)

    def agreed(self) -> dict[str, int]:
        return agreed(MEMBERS, self.newest, self.is_good, self.go_back)


@pytest.mark.parametrize(
    ("committed", "bad", "expected"),
    [
        ((3, 3, 3), set(), (3, 3, 3)),
        ((3, 2, 3), set(), (3, 2, 3)),  # one is still at its step
        ((0, 1, 0), set(), (0, 1, 0)),
        ((3, 3, 3), {("g/1", 3)}, (3, 2, 3)),  # the others keep what they have
        ((3, 2, 3), {("g/0", 2)}, (1, 2, 3)),  # it has gone on since, but others need that state: done again
        ((3, 3, 3), {("g/1", 3), ("g/1", 2)}, (3, 1, 3)),
        ((3, 3, 3), {("g/1", 3), ("g/2", 2)}, (3, 2, 1)),
        ((3, 3, 3), {("g/1", 3), ("g/2", 2), ("g/0", 1)}, (0, 2, 1)),
        ((2, 2, 2), {("g/0", 2), ("g/0", 1)}, (0, 2, 2)),
    ],
)
def test_who_goes_back_how_far(
    committed: tuple[int, ...], bad: set[tuple[str, int]], expected: tuple[int, ...]
) -> None:
    states = States(dict(zip(MEMBERS, committed, strict=True)), bad)
    assert tuple(states.agreed().values()) == expected


@given(
    committed=st.tuples(*[st.integers(0, 4)] * 3),
    bad=st.sets(st.tuples(st.sampled_from(MEMBERS), st.integers(1, 4))),
)
def test_the_next_round_of_the_slowest_begins_with_good_states(
    committed: tuple[int, ...], bad: set[tuple[str, int]]
) -> None:
    """And nobody goes back for nothing: where no state is bad, all stay."""
    before = dict(zip(MEMBERS, committed, strict=True))
    states = States(before, bad)
    done = states.agreed()
    slowest = min(done.values())
    for member, step in done.items():
        assert step <= before[member]
        assert not step or (member, step) not in bad
        assert not slowest or (member, slowest) not in bad
        assert states.committed[member] == list(range(1, step + 1))
    if not bad:
        assert done == before


def test_a_round_begins_with_the_states_of_the_round_before_and_not_with_the_newest() -> None:
    gangs = {"g/0": ("g/0", "g/1"), "g/1": ("g/0", "g/1")}

    def checkpoint(unit: str, step: int) -> CheckpointRef:
        return CheckpointRef("k", unit, step, f"{unit}/{step}", "s")

    states = CommittedStates(gangs)
    for name, step in (("g/0", 1), ("g/1", 1), ("g/0", 2), ("alone", 1)):
        states.committed(checkpoint(name, step))
    assert states.before("g/1", 1) == ()
    assert states.before("g/1", 2) == (checkpoint("g/0", 1), checkpoint("g/1", 1))
    assert states.before("alone", 2) == ()
    states.replaced("g/1", [checkpoint("g/1", 2)])
    assert states.before("g/0", 3) == (checkpoint("g/0", 2), checkpoint("g/1", 2))
