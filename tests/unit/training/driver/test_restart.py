"""The pure half: whatever happens in whatever order, the decisions lead to the end, and never to a step done twice."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.training.driver.restart import MEMORY_TRIES, STILLBORN, TRIES, decide_restart, pays_to_move, tries
from koboshi.training.driver.run_state import (
    Begun,
    Committed,
    GiveUp,
    Grow,
    Interrupted,
    Kind,
    Lost,
    Order,
    Poisoned,
    Quarantine,
    Ready,
    Retire,
    RunState,
    UnitState,
)


def run_of(
    at: Mapping[str, str] | None = None, idle: tuple[str, ...] = (), actors: int = 2, **units: UnitState
) -> RunState:
    """A run in which the workers of `at` are at work, and all other units wait."""
    at = dict(at or {})
    state = RunState.of(actors, units)
    waiting = tuple(name for name in state.waiting if name not in at.values())
    return dataclasses.replace(state, at=at, idle=idle, waiting=waiting)


def test_begins_with_as_many_workers_as_it_needs_and_a_spare() -> None:
    """Three actors for two at once: the third is warm when one of the others dies."""
    _, actions = decide_restart(run_of(a=UnitState(3), b=UnitState(3)), Begun())
    assert actions == (Grow(),) * 3


def test_a_spare_stays_idle_while_all_places_are_taken() -> None:
    state = run_of({"one": "a", "two": "b"}, a=UnitState(3), b=UnitState(3), c=UnitState(3))
    state, actions = decide_restart(dataclasses.replace(state, starting=1), Ready("three"))
    assert (state.idle, actions) == (("three",), ())


def test_a_worker_goes_on_with_its_unit_without_reading_back() -> None:
    _, actions = decide_restart(run_of({"one": "a"}, a=UnitState(3, done=1)), Committed("one"))
    assert actions[0] == Order("one", "a", 3)


def test_a_death_gives_the_unit_to_the_spare_at_once_and_replaces_nobody_yet() -> None:
    """Replenishing would slow the recovery down: it comes after the first good step."""
    state = dataclasses.replace(run_of({"one": "a"}, idle=("spare",), a=UnitState(5, done=2)), starting=1)
    state, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Order("spare", "a", 3),)
    _, actions = decide_restart(state, Committed("spare"))
    assert actions == (Order("spare", "a", 4), Grow())


def test_a_death_without_a_spare_starts_new_workers_at_once() -> None:
    state = run_of({"one": "a"}, a=UnitState(5, done=2))
    _, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Grow(),) * 3


def test_an_interrupted_unit_comes_before_one_that_has_not_begun() -> None:
    state = run_of({"one": "b"}, idle=("spare",), actors=1, a=UnitState(5), b=UnitState(5, done=2))
    _, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Order("spare", "b", 3),)


def test_goes_on_from_where_the_checkpoint_verifies() -> None:
    """I5: `done` of the event, not that of the state, says where to go on."""
    state = run_of({"one": "a"}, idle=("spare",), a=UnitState(5, done=3))
    _, actions = decide_restart(state, Interrupted("one", 1, alive=False, reason="killed"))
    assert actions[0] == Order("spare", "a", 2)


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("kind", ["", "transient", "permanent", "memory"])
def test_a_unit_whose_step_always_fails_is_quarantined_and_the_others_go_on(alive: bool, kind: Kind) -> None:
    """Bounded: a unit that kills its worker each time may not spin for ever, nor stop what is no part of it."""
    state = run_of({"w0": "a", "w": "b"}, a=UnitState(3), b=UnitState(3))
    for number in range(tries(kind)):
        assert not state.poisoned
        state = dataclasses.replace(state, idle=(f"w{number + 1}",))
        state, actions = decide_restart(state, Interrupted(f"w{number}", 0, alive, "it is broken", kind))
    poisoned = Poisoned(1, "it is broken", again=kind == "transient")
    assert Quarantine("a", poisoned) in actions
    assert state.poisoned == {"a": poisoned}
    assert not state.finished
    for _ in range(3):
        state, _ = decide_restart(state, Committed("w"))
    assert state.finished


def test_an_error_that_must_come_again_is_tried_once_lack_of_memory_twice() -> None:
    assert (tries("permanent"), tries("memory"), tries("transient"), tries("")) == (1, MEMORY_TRIES, TRIES, TRIES)


def test_a_worker_out_of_memory_is_ended_and_others_are_not_counted_against_the_unit() -> None:
    state = run_of({"one": "a"}, idle=("spare",), a=UnitState(3, failures=1))
    state, actions = decide_restart(state, Interrupted("one", 0, alive=True, reason="no memory", kind="memory"))
    assert actions[:2] == (Retire("one", "a", "no memory"), Order("spare", "a", 1))
    assert "one" not in state.idle


def test_a_bad_checkpoint_is_no_fault_of_the_step() -> None:
    """The step raised because its checkpoint was bad, and was quarantined: the unit goes on from the one before."""
    state = run_of({"one": "a"}, a=UnitState(5, done=3))
    state, actions = decide_restart(state, Interrupted("one", 2, alive=True, reason="corrupt", kind="permanent"))
    assert actions[0] == Order("one", "a", 3)


def test_a_committed_step_forgives_earlier_failures() -> None:
    state, _ = decide_restart(run_of({"one": "a"}, a=UnitState(9, done=1, failures=TRIES - 1)), Committed("one"))
    assert state.units["a"].failures == 0


def test_steps_at_risk_are_gone_on_with_and_a_death_costs_them() -> None:
    """The worker does the step after those in its memory; whoever takes over, the one after the newest durable one."""
    state = run_of({"one": "a"}, idle=("spare",), a=UnitState(9, done=2))
    for at_risk in (1, 2):
        state, actions = decide_restart(state, Committed("one", at_risk=at_risk))
        assert actions[0] == Order("one", "a", 3 + at_risk)
    assert (state.units["a"].done, state.units["a"].ahead) == (2, 2)
    state, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions[0] == Order("spare", "a", 3)
    state, actions = decide_restart(state, Committed("spare"))
    assert (state.units["a"].done, state.units["a"].ahead) == (3, 0)


def test_a_state_that_never_gets_durable_does_not_spin_for_ever() -> None:
    """Steps at risk forgive nothing: the last one, which insists on its file, has as many tries as any."""
    state = run_of({"w0": "a"}, a=UnitState(2))
    for number in range(TRIES):
        state, _ = decide_restart(state, Committed(f"w{number}", at_risk=1))
        state = dataclasses.replace(state, idle=(f"w{number + 1}",))
        state, actions = decide_restart(state, Interrupted(f"w{number}", 0, True, "the disk is full", "transient"))
    assert Quarantine("a", Poisoned(2, "the disk is full", again=True)) in actions


def test_only_what_is_durable_forgives_earlier_failures() -> None:
    """Else a disk that stays full would let a unit do the same steps again for ever."""
    state, actions = decide_restart(run_of({"one": "a"}, a=UnitState(9, done=1, failures=2)), Committed("one", 1.0, 1))
    assert state.units["a"] == UnitState(9, 1, 1, 2, seconds=(1.0,))
    assert actions[0] == Order("one", "a", 3)
    state, actions = decide_restart(state, Committed("one", 1.0, 0))
    assert state.units["a"] == UnitState(9, 3, 0, 0, seconds=(1.0, 1.0))
    assert actions[0] == Order("one", "a", 4)


def test_a_death_goes_back_to_what_is_durable() -> None:
    state = run_of({"one": "a"}, idle=("spare",), a=UnitState(9, done=1, ahead=3))
    state, actions = decide_restart(state, Interrupted("one", 1, alive=False, reason="killed"))
    assert actions[0] == Order("spare", "a", 2)


def test_gives_up_when_no_worker_ever_comes_up_and_may_be_tried_again() -> None:
    state = dataclasses.replace(run_of(a=UnitState(3)), starting=3)
    for _ in range(STILLBORN):
        state, actions = decide_restart(state, Lost("x", "no such module"))
    assert actions == (GiveUp("3 workers in a row died before they were ready, last because no such module"),)


def test_an_idle_worker_that_dies_is_replaced() -> None:
    state = run_of({"one": "a"}, idle=("spare", "other"), a=UnitState(3))
    state, actions = decide_restart(state, Lost("spare", "killed"))
    assert state.idle == ("other",)
    assert actions == (Grow(),)


def test_an_event_of_a_worker_without_a_unit_changes_nothing() -> None:
    state = run_of({"one": "a"}, a=UnitState(3))
    assert decide_restart(state, Committed("stranger"))[0].units == state.units
    assert decide_restart(state, Interrupted("stranger", 0, alive=False, reason=""))[0].units == state.units


def slowed(done: int, total: int, *seconds: float) -> UnitState:
    return UnitState(total, done, seconds=seconds)


@pytest.mark.parametrize(
    ("unit", "pays"),
    [
        (slowed(5, 20, 1.0, 1.0, 1.0, 4.0, 4.0), True),
        (slowed(5, 20, 1.0, 1.0, 1.0, 1.0, 4.0), False),  # once is nothing
        (slowed(5, 6, 1.0, 1.0, 1.0, 3.0, 2.9), False),  # less than three times as slow
        (slowed(19, 20, 0.1, 0.1, 0.1, 0.4, 0.4), False),  # too little is left
        (slowed(4, 20, 1.0, 1.0, 9.0, 9.0), False),  # too little is known
        (slowed(9, 20, 4.0, 4.0, 4.0, 4.0, 4.0), False),  # that is how long they take
    ],
)
def test_a_slow_worker_is_left_when_a_spare_would_be_done_sooner(unit: UnitState, pays: bool) -> None:
    assert pays_to_move(unit) is pays


def test_a_unit_moves_at_a_steps_border_and_its_slow_worker_is_ended() -> None:
    unit = slowed(5, 20, 1.0, 1.0, 1.0, 4.0)
    state, actions = decide_restart(run_of({"slow": "a"}, idle=("spare",), a=unit), Committed("slow", 4.0))
    assert actions == (Retire("slow", "a", "its steps take 4.0 s instead of 1.0 s"), Order("spare", "a", 7))
    assert state.at == {"spare": "a"}


def test_without_a_spare_a_slow_worker_goes_on() -> None:
    unit = slowed(5, 20, 1.0, 1.0, 1.0, 4.0)
    _, actions = decide_restart(run_of({"slow": "a"}, a=unit), Committed("slow", 4.0))
    assert actions[0] == Order("slow", "a", 7)


class Cluster:
    """Workers and what they are at, as a driver would see them: refuses orders that contradict each other."""

    def __init__(self) -> None:
        self.at_work: dict[str, Order] = {}
        self.started = self.interruptions = 0

    def take(self, state: RunState, order: Order) -> None:
        assert order.worker not in self.at_work
        assert order.unit not in {other.unit for other in self.at_work.values()}
        assert order.step == state.units[order.unit].done + 1
        self.at_work[order.worker] = order
        assert len(self.at_work) <= state.actors

    def next_event(self, state: RunState, data: st.DataObject) -> Ready | Committed | Interrupted:
        """One of the things that may happen now; fewer than TRIES interruptions in all, so that no unit is hopeless."""
        seconds = data.draw(st.sampled_from([0.1, 5.0]))
        possible: list[Ready | Committed | Interrupted] = [Committed(worker, seconds) for worker in self.at_work]
        if state.starting:
            self.started += 1
            possible.append(Ready(f"w{self.started}"))
        if self.interruptions < TRIES - 1:
            for worker, order in self.at_work.items():
                done = data.draw(st.integers(0, order.step - 1))
                possible.append(Interrupted(worker, done, data.draw(st.booleans()), "drawn"))
        event = data.draw(st.sampled_from(possible))
        self.interruptions += isinstance(event, Interrupted)
        self.at_work.pop(event.worker, None)
        return event


@given(st.data())
def test_from_every_interrupted_state_it_ends_and_does_each_step_once(data: st.DataObject) -> None:
    """I5: any mix of deaths, failures and bad checkpoints leads to the end; a unit is at one worker at a time, and
    a step is ordered only directly after the step that is committed."""
    totals = [data.draw(st.integers(1, 9)) for _ in range(3)]
    units = {f"u{n}": UnitState(total, data.draw(st.integers(0, total))) for n, total in enumerate(totals)}
    state, cluster = RunState.of(data.draw(st.integers(1, 3)), units), Cluster()
    state, actions = decide_restart(state, Begun())
    while not state.finished:
        for action in actions:
            assert not isinstance(action, GiveUp | Quarantine)
            if isinstance(action, Retire):
                assert action.worker not in (*cluster.at_work, *state.idle)
            if isinstance(action, Order):
                cluster.take(state, action)
        state, actions = decide_restart(state, cluster.next_event(state, data))
        unfinished = [name for name, unit in state.units.items() if unit.done < unit.total]
        assert sorted([*state.waiting, *state.at.values()]) == unfinished
