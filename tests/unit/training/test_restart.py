"""The pure half: whatever happens in whatever order, the decisions lead to the end, and never to a step done twice."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.training.restart import (
    STILLBORN,
    TRIES,
    Begun,
    Committed,
    GiveUp,
    Grow,
    Interrupted,
    Lost,
    Order,
    Ready,
    RunState,
    UnitState,
    decide_restart,
)


def run_of(**units: UnitState) -> RunState:
    return RunState(2, units)


def test_begins_with_as_many_workers_as_it_needs_and_a_spare() -> None:
    """Three actors for two at once: the third is warm when one of the others dies."""
    _, actions = decide_restart(run_of(a=UnitState(3), b=UnitState(3)), Begun())
    assert actions == (Grow(),) * 3


def test_a_spare_stays_idle_while_all_places_are_taken() -> None:
    state = dataclasses.replace(
        run_of(a=UnitState(3, worker="one"), b=UnitState(3, worker="two"), c=UnitState(3)), starting=1
    )
    state, actions = decide_restart(state, Ready("three"))
    assert (state.idle, actions) == (("three",), ())


def test_a_worker_goes_on_with_its_unit_without_reading_back() -> None:
    state = run_of(a=UnitState(3, done=1, worker="one"))
    _, actions = decide_restart(state, Committed("one"))
    assert actions[0] == Order("one", "a", 3, fresh=False)


def test_a_death_gives_the_unit_to_the_spare_at_once_and_replaces_nobody_yet() -> None:
    """Replenishing would slow the recovery down: it comes after the first good step."""
    state = dataclasses.replace(run_of(a=UnitState(5, done=2, worker="one")), idle=("spare",), starting=1)
    state, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Order("spare", "a", 3, fresh=True),)
    _, actions = decide_restart(state, Committed("spare"))
    assert actions == (Order("spare", "a", 4, fresh=False), Grow())


def test_a_death_without_a_spare_starts_new_workers_at_once() -> None:
    state = run_of(a=UnitState(5, done=2, worker="one"))
    _, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Grow(),) * 3


def test_an_interrupted_unit_comes_before_one_that_has_not_begun() -> None:
    state = dataclasses.replace(run_of(a=UnitState(5), b=UnitState(5, done=2, worker="one")), idle=("spare",), actors=1)
    _, actions = decide_restart(state, Interrupted("one", 2, alive=False, reason="killed"))
    assert actions == (Order("spare", "b", 3, fresh=True),)


def test_goes_on_from_where_the_checkpoint_verifies() -> None:
    """I5: `done` of the event, not that of the state, says where to go on."""
    state = dataclasses.replace(run_of(a=UnitState(5, done=3, worker="one")), idle=("spare",))
    _, actions = decide_restart(state, Interrupted("one", 1, alive=False, reason="killed"))
    assert actions[0] == Order("spare", "a", 2, fresh=True)


@pytest.mark.parametrize("alive", [True, False])
def test_a_step_that_always_fails_stops_the_run(alive: bool) -> None:
    """Bounded: a unit that kills its worker each time may not spin for ever."""
    state, actions = run_of(a=UnitState(3, worker="w0")), ()
    for number in range(TRIES):
        state = dataclasses.replace(state, idle=(f"w{number + 1}",))
        state, actions = decide_restart(state, Interrupted(f"w{number}", 0, alive, "it is broken"))
    assert isinstance(actions[0], GiveUp)
    assert not actions[0].again
    assert "it is broken" in actions[0].reason


def test_a_step_that_fails_for_no_reason_of_its_own_may_be_tried_by_another_run() -> None:
    """A full disk stops the run for now (75), and not for good."""
    state = run_of(a=UnitState(3, worker="one", failures=TRIES - 1))
    _, actions = decide_restart(state, Interrupted("one", 0, alive=True, reason="the disk is full", again=True))
    assert actions == (GiveUp(f"step 1 of a failed {TRIES} times, last because the disk is full", again=True),)


def test_a_committed_step_forgives_earlier_failures() -> None:
    state, _ = decide_restart(run_of(a=UnitState(9, done=1, worker="one", failures=TRIES - 1)), Committed("one"))
    assert state.units["a"].failures == 0


def test_gives_up_when_no_worker_ever_comes_up_and_may_be_tried_again() -> None:
    state = dataclasses.replace(run_of(a=UnitState(3)), starting=3)
    for _ in range(STILLBORN):
        state, actions = decide_restart(state, Lost("x", "no such module"))
    assert actions == (GiveUp("3 workers in a row died before they were ready, last because no such module", True),)


def test_an_idle_worker_that_dies_is_replaced() -> None:
    state = dataclasses.replace(run_of(a=UnitState(3, worker="one")), idle=("spare", "other"))
    state, actions = decide_restart(state, Lost("spare", "killed"))
    assert state.idle == ("other",)
    assert actions == (Grow(),)


def test_an_event_of_a_worker_without_a_unit_changes_nothing() -> None:
    state = run_of(a=UnitState(3, worker="one"))
    assert decide_restart(state, Committed("stranger"))[0].units == state.units
    assert decide_restart(state, Interrupted("stranger", 0, alive=False, reason=""))[0].units == state.units


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
        possible: list[Ready | Committed | Interrupted] = [Committed(worker) for worker in self.at_work]
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
    totals = [data.draw(st.integers(1, 4)) for _ in range(3)]
    units = {f"u{n}": UnitState(total, data.draw(st.integers(0, total))) for n, total in enumerate(totals)}
    state, cluster = RunState(data.draw(st.integers(1, 3)), units), Cluster()
    state, actions = decide_restart(state, Begun())
    while not state.finished:
        for action in actions:
            assert not isinstance(action, GiveUp)
            if isinstance(action, Order):
                cluster.take(state, action)
        state, actions = decide_restart(state, cluster.next_event(state, data))
