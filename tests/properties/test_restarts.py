"""I5, the pure half: whatever dies or goes bad, nobody does a step twice or before it may, or waits for ever."""

import dataclasses

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from koboshi.training.driver.restart import SPARES, STILLBORN, TRIES, decide_restart
from koboshi.training.driver.run_state import (
    Begun,
    Committed,
    GiveUp,
    Grow,
    Input,
    Interrupted,
    Lost,
    Order,
    Quarantine,
    Ready,
    Retire,
    RunState,
    UnitState,
)

GANGS = dict.fromkeys(("g/0", "g/1", "g/2"), ("g/0", "g/1", "g/2"))


class RestartMachine(RuleBasedStateMachine):
    """A gang of three beside two units of their own, on fewer workers than units or more; its books are kept apart."""

    def __init__(self) -> None:
        super().__init__()
        self.started = self.starting = self.stillborn = 0
        self.given_up = False
        self.idle: set[str] = set()
        self.at_work: dict[str, Order] = {}
        self.done: dict[str, int] = {}
        self.ahead: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.lost: set[str] = set()

    @initialize(
        total=st.integers(1, 4),
        done=st.lists(st.integers(0, 4), min_size=3, max_size=3),
        alone=st.lists(st.integers(1, 3), max_size=2),
        actors=st.integers(1, 4),
    )
    def begin(self, total: int, done: list[int], alone: list[int], actors: int) -> None:
        """Any driver's first look: members are at different steps, where some had to go back."""
        members = {name: UnitState(total, min(total, step)) for name, step in zip(GANGS, done, strict=True)}
        units = {**members, **{f"u{number}": UnitState(steps) for number, steps in enumerate(alone)}}
        self.state = RunState.of(actors, units, GANGS)
        self.done = {name: unit.done for name, unit in units.items()}
        self.failures, self.ahead = dict.fromkeys(units, 0), dict.fromkeys(units, 0)
        self._decide(Begun())

    @precondition(lambda self: self.starting and not self.given_up)
    @rule()
    def worker_is_ready(self) -> None:
        self.starting, self.stillborn, self.started = self.starting - 1, 0, self.started + 1
        self.idle.add(f"w{self.started}")
        self._decide(Ready(f"w{self.started}"))

    @precondition(lambda self: self.starting and not self.given_up)
    @rule()
    def worker_never_comes_up(self) -> None:
        self.starting, self.stillborn = self.starting - 1, self.stillborn + 1
        self._decide(Lost("nobody", "it was never there"))

    @precondition(lambda self: self.idle and not self.given_up)
    @rule(data=st.data())
    def idle_worker_dies(self, data: st.DataObject) -> None:
        """Also one that waits with a member at hand."""
        worker = data.draw(st.sampled_from(sorted(self.idle)))
        self.idle.discard(worker)
        self._decide(Lost(worker, "killed"))

    @precondition(lambda self: self.at_work and not self.given_up)
    @rule(data=st.data())
    def step_is_committed(self, data: st.DataObject) -> None:
        """Or done, and in memory alone, where nobody waits for its state."""
        worker, order = self._somebody_at_work(data)
        last = order.step == self.state.units[order.unit].total
        at_risk = 0 if last or order.unit in GANGS else data.draw(st.integers(0, self.ahead[order.unit] + 1))
        if order.step - at_risk > self.done[order.unit]:
            self.failures[order.unit] = 0
        self.done[order.unit], self.ahead[order.unit] = order.step - at_risk, at_risk
        self.idle.add(worker)  # where it goes on at once, the order takes it from here
        self._decide(Committed(worker, at_risk=at_risk))

    @precondition(lambda self: self.at_work and not self.given_up)
    @rule(data=st.data(), alive=st.booleans())
    def step_comes_to_nothing(self, data: st.DataObject, alive: bool) -> None:
        """Its worker dies, or it raises; of its own checkpoints and its peers' any number may be bad."""
        worker, order = self._somebody_at_work(data)
        if alive:
            self.idle.add(worker)
        gang = GANGS.get(order.unit, (order.unit,))
        back = {name: data.draw(st.integers(max(0, self.done[name] - 2), self.done[name]), name) for name in gang}
        fell = {name: step for name, step in back.items() if step < self.done[name] and name != order.unit}
        self.done.update(back)
        self.ahead[order.unit] = 0
        self.failures[order.unit] += 1
        self._decide(Interrupted(worker, back[order.unit], alive, "drawn", fell=fell))

    @precondition(lambda self: self.state.finished or self.given_up)
    @rule()
    def stranger_speaks(self) -> None:
        """At the end, events of workers that nobody knows change nothing."""
        before = self.state.units
        self.state, _ = decide_restart(self.state, Committed("a stranger"))
        assert self.state.units == before

    @invariant()
    def a_run_is_never_stuck(self) -> None:
        if self.done and not self.state.finished and not self.given_up:
            assert self.at_work or self.starting

    @invariant()
    def it_gives_up_when_nobody_comes_up_and_not_before(self) -> None:
        assert self.given_up == (self.stillborn >= STILLBORN)

    @invariant()
    def a_run_ends_when_nothing_is_left(self) -> None:
        if self.done and self.state.finished:
            assert all(self.done[name] == unit.total or name in self.lost for name, unit in self.state.units.items())

    @invariant()
    def each_unit_is_in_one_place(self) -> None:
        if not self.done:
            return
        places = [*self.state.waiting, *self.state.at.values(), *self.state.held, *self.state.poisoned]
        left = [name for name, unit in self.state.units.items() if unit.done < unit.total]
        assert sorted(place for place in places if place in left) == sorted(left)
        assert set(places) - set(left) <= self.lost

    @invariant()
    def who_waits_may_begin_and_who_is_held_may_not(self) -> None:
        if not self.done:
            return
        slowest = min(self.done[name] for name in GANGS)
        assert all(self.done[name] == slowest for name in self.state.waiting if name in GANGS)
        assert all(self.done[name] > slowest for name in self.state.held)

    @invariant()
    def the_books_are_right(self) -> None:
        if self.done and not self.state.finished and not self.given_up:
            assert {name: unit.ahead for name, unit in self.state.units.items()} == self.ahead
            assert {name: unit.done for name, unit in self.state.units.items()} == self.done
            assert set(self.state.idle) == self.idle
            assert len(set(self.state.idle)) == len(self.state.idle)
            assert set(self.state.at_hand) <= self.idle
            assert {worker: order.unit for worker, order in self.at_work.items()} == dict(self.state.at)
            assert len(self.at_work) <= self.state.actors
            assert len(self.at_work) + len(self.idle) + self.starting <= self.state.actors + SPARES

    @invariant()
    def who_fails_each_time_is_quarantined_with_all_that_need_it(self) -> None:
        if not self.done:
            return
        failed = {name for name, count in self.failures.items() if count >= TRIES}
        needing = {m for name in failed for m in GANGS.get(name, ()) if self.done[m] < self.state.units[m].total}
        assert self.lost >= failed
        assert self.lost | set(self.state.at.values()) >= needing

    def _somebody_at_work(self, data: st.DataObject) -> tuple[str, Order]:
        worker = data.draw(st.sampled_from(sorted(self.at_work)))
        return worker, self.at_work.pop(worker)

    def _decide(self, event: Input) -> None:
        self.state, actions = decide_restart(self.state, event)
        for action in actions:
            match action:
                case Order():
                    self._take(action)
                case Grow():
                    self.starting += 1
                case Retire(worker):
                    self.idle.discard(worker)
                    self.at_work.pop(worker, None)
                case Quarantine(unit):
                    self.lost.add(unit)
                case GiveUp():
                    self.given_up = True

    def _take(self, order: Order) -> None:
        """Nobody begins a step before all members of its gang have committed the step before."""
        assert order.step == self.done[order.unit] + self.ahead[order.unit] + 1
        assert all(self.done[member] >= order.step - 1 for member in GANGS.get(order.unit, ()))
        assert order.unit not in {other.unit for other in self.at_work.values()}
        assert order.unit not in self.lost
        assert order.worker in self.idle
        self.idle.discard(order.worker)
        self.at_work[order.worker] = order


RestartMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestRestarts = RestartMachine.TestCase


def test_a_gang_of_many_rounds_without_faults_costs_no_step_twice() -> None:
    """Three members on two workers and a spare: each step is ordered once, and who has a unit at hand gets it again."""
    state = RunState.of(3, {name: UnitState(5) for name in GANGS}, GANGS)
    state, _ = decide_restart(dataclasses.replace(state, starting=4), Begun())
    orders: list[Order] = []
    for number in range(4):
        state, actions = decide_restart(state, Ready(f"w{number}"))
        orders += [action for action in actions if isinstance(action, Order)]
    for done in range(15):
        state, actions = decide_restart(state, Committed(orders[done].worker))
        orders += [action for action in actions if isinstance(action, Order)]
    assert state.finished
    assert [(order.unit, order.step) for order in orders[:6]] == [(name, step) for step in (1, 2) for name in GANGS]
    assert len(orders) == 15
    assert len({(order.unit, order.worker) for order in orders}) == 3
